"""A pod as the webhook reads it: only the fields it looks at, typed, so that a malformed one is refused by name.

It is never written back: patches add to the pod that the API server holds, and what is unknown here survives there.
"""

from __future__ import annotations

import posixpath
from typing import Any

import msgspec

from pgwarden.api import names

MIRROR = "kubernetes.io/config.mirror"
OWN_VOLUMES = frozenset(
    {
        names.VOLUME_TOOLS,
        names.VOLUME_SOURCE,
        names.VOLUME_CONF,
        names.VOLUME_WORK,
        names.VOLUME_SOCKET,
        names.VOLUME_TMP,
    }
)
#: Where the data of a pod can outlive a container, and so where a data directory, a WAL or a table space may be.
PERSISTENT = ("persistentVolumeClaim", "ephemeral")


class _View(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    pass


class Meta(_View, frozen=True, kw_only=True):
    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class SecurityContext(_View, frozen=True, kw_only=True):
    run_as_user: int | None = None
    run_as_group: int | None = None


class EnvVar(_View, frozen=True, kw_only=True):
    name: str
    value: str | None = None
    value_from: dict[str, Any] | None = None


class VolumeMount(_View, frozen=True, kw_only=True):
    name: str
    mount_path: str
    sub_path: str | None = None
    sub_path_expr: str | None = None


class Port(_View, frozen=True, kw_only=True):
    container_port: int


class Container(_View, frozen=True, kw_only=True):
    name: str
    image: str = ""
    command: list[str] | None = None
    args: list[str] | None = None
    env: list[EnvVar] | None = None
    volume_mounts: list[VolumeMount] | None = None
    ports: list[Port] | None = None
    security_context: SecurityContext | None = None

    @property
    def mounts(self) -> list[VolumeMount]:
        """The user's own: ours would make a second look at an injected pod differ from the first."""
        return [mount for mount in self.volume_mounts or [] if mount.name not in OWN_VOLUMES]

    @property
    def argv(self) -> list[str]:
        return [*(self.command or []), *(self.args or [])]

    def environment(self) -> dict[str, EnvVar]:
        """The last of a name wins, as in the kubelet."""
        return {variable.name: variable for variable in self.env or []}


class Spec(_View, frozen=True, kw_only=True):
    containers: list[Container]
    init_containers: list[Container] | None = None
    volumes: list[dict[str, Any]] | None = None
    security_context: SecurityContext | None = None


class Pod(_View, frozen=True, kw_only=True):
    spec: Spec
    metadata: Meta = msgspec.field(default_factory=Meta)

    @property
    def labels(self) -> dict[str, str]:
        return self.metadata.labels or {}

    @property
    def annotations(self) -> dict[str, str]:
        return self.metadata.annotations or {}

    def volume(self, name: str) -> dict[str, Any]:
        """The pod's volume of that name; {} where it is not declared, which the API server refuses anyway."""
        return next((volume for volume in self.spec.volumes or [] if volume.get("name") == name), {})

    def has_sidecar(self) -> bool:
        return any(container.name == names.CONTAINER_SIDECAR for container in self.spec.init_containers or [])


def read(pod: dict[str, Any]) -> Pod:
    """*pod* as a view. msgspec.ValidationError (with the path) where it is no pod."""
    return msgspec.convert(pod, Pod)


def normal(path: str) -> str:
    """One spelling of a folder: images link /var/run to /run, so that both are the same place."""
    cleaned = posixpath.normpath(path)
    if cleaned.startswith("//"):
        cleaned = cleaned[1:]
    return "/run" + cleaned[len("/var/run") :] if f"{cleaned}/".startswith("/var/run/") else cleaned


def covers(mount_path: str, directory: str) -> bool:
    """True if a volume mounted at *mount_path* holds *directory*."""
    outer, inner = normal(mount_path), normal(directory)
    return inner == outer or inner.startswith(outer.rstrip("/") + "/")


def holding(mounts: list[VolumeMount], directory: str) -> VolumeMount | None:
    """The mount that *directory* lies on: the deepest that covers it."""
    over = [mount for mount in mounts if covers(mount.mount_path, directory)]
    return max(over, key=lambda mount: len(normal(mount.mount_path)), default=None)
