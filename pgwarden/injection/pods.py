"""A pod as the webhook reads it: only the fields it looks at, typed, so that a malformed one is refused by name.

It is never written back: patches add to the pod that the API server holds, and what is unknown here survives there.
"""

from __future__ import annotations

import posixpath
from typing import Any

import msgspec

from pgwarden.api import names

#: Of ours, in a pod; the first one of earlier versions.
OWN_CONTAINERS = frozenset({names.CONTAINER_TOOLS, names.CONTAINER_SIDECAR})
MIRROR = "kubernetes.io/config.mirror"
OWN_VOLUMES = frozenset(
    {
        names.VOLUME_TOOLS,
        names.VOLUME_SOURCE,
        names.VOLUME_CONF,
        names.VOLUME_WORK,
        names.VOLUME_SOCKET,
        names.VOLUME_TMP,
        names.VOLUME_TOKEN,
    }
)
OWN_ANNOTATIONS = (names.ANNOTATION_INJECTED, names.ANNOTATION_POSTGRES, names.ANNOTATION_SHRUNK)
#: Where the API server mounts the token of the pod's service account.
SERVICE_ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
#: Variables that may name the data directory, the stronger first.
DATA_VARIABLES = ("PATRONI_POSTGRESQL_DATA_DIR", "PGDATA")


class _View(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Only strings, numbers, tuples and dicts of them: no cycle can arise, so the collector need not look."""


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


class Reference(_View, frozen=True, kw_only=True):
    name: str = ""


class EnvFrom(_View, frozen=True, kw_only=True):
    """All keys of a Secret or a ConfigMap as variables."""

    prefix: str = ""
    secret_ref: Reference | None = None
    config_map_ref: Reference | None = None


class Present(_View, frozen=True, kw_only=True):
    """Something that is there; what is in it does not matter."""


class Volume(_View, frozen=True, kw_only=True):
    name: str = ""
    persistent_volume_claim: Present | None = None
    ephemeral: Present | None = None
    empty_dir: Present | None = None
    host_path: Present | None = None
    nfs: Present | None = None
    csi: Present | None = None

    @property
    def claimed(self) -> bool:
        return self.persistent_volume_claim is not None or self.ephemeral is not None

    @property
    def persistent(self) -> bool:
        """Whether data in it can outlive a pod, and so whether a data directory, WAL or a table space may be there."""
        return self.claimed or any(each is not None for each in (self.host_path, self.nfs, self.csi))


class VolumeMount(_View, frozen=True, kw_only=True):
    name: str
    mount_path: str
    sub_path: str | None = None
    sub_path_expr: str | None = None


class Port(_View, frozen=True, kw_only=True):
    container_port: int


class Resources(_View, frozen=True, kw_only=True):
    requests: dict[str, Any] | None = None
    limits: dict[str, Any] | None = None


class InitContainer(_View, frozen=True, kw_only=True):
    name: str
    restart_policy: str = ""
    resources: Resources | None = None


class Container(_View, frozen=True, kw_only=True):
    name: str
    image: str = ""
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    env: tuple[EnvVar, ...] | None = None
    env_from: tuple[EnvFrom, ...] | None = None
    volume_mounts: tuple[VolumeMount, ...] | None = None
    ports: tuple[Port, ...] | None = None
    security_context: SecurityContext | None = None
    resources: Resources | None = None
    termination_message_policy: str = ""

    @property
    def mounts(self) -> list[VolumeMount]:
        """The user's own, without those of ours: a second look at an injected pod must not differ from the first.

        Nor that of the token, which is no place for data and has another name in every pod.
        """
        return [
            mount
            for mount in self.volume_mounts or ()
            if mount.name not in OWN_VOLUMES and mount.mount_path != SERVICE_ACCOUNT_FOLDER
        ]

    @property
    def argv(self) -> list[str]:
        return [*(self.command or ()), *(self.args or ())]

    def environment(self) -> dict[str, EnvVar]:
        """The last of a name wins, as in the kubelet."""
        return {variable.name: variable for variable in self.env or ()}


class Spec(_View, frozen=True, kw_only=True):
    containers: tuple[Container, ...]
    init_containers: tuple[InitContainer, ...] | None = None
    volumes: tuple[Volume, ...] | None = None
    service_account_name: str = ""
    security_context: SecurityContext | None = None
    image_pull_secrets: tuple[Reference, ...] | None = None
    resources: Resources | None = None  # of the pod as a whole
    overhead: dict[str, Any] | None = None
    priority_class_name: str = ""
    active_deadline_seconds: int | None = None


class Pod(_View, frozen=True, kw_only=True):
    spec: Spec
    metadata: Meta = msgspec.field(default_factory=Meta)

    @property
    def labels(self) -> dict[str, str]:
        return self.metadata.labels or {}

    @property
    def annotations(self) -> dict[str, str]:
        return self.metadata.annotations or {}

    def volume(self, name: str) -> Volume:
        """The pod's volume of that name; a bare one where it is not declared, which the API server refuses anyway."""
        return next((volume for volume in self.spec.volumes or () if volume.name == name), Volume())

    def persistent_volumes(self) -> set[str]:
        """Their names; of two of one name the first counts."""
        named = {volume.name: volume for volume in reversed(self.spec.volumes or ())}
        return {name for name, volume in named.items() if volume.persistent}

    def claimed_volumes(self) -> set[str]:
        """Those of them that are claims."""
        named = {volume.name: volume for volume in reversed(self.spec.volumes or ())}
        return {name for name, volume in named.items() if volume.claimed}

    def was_injected(self) -> bool:
        """Whether it carries an annotation of ours: of an earlier look at it, or of the pod that it is a copy of."""
        return any(name in self.annotations for name in OWN_ANNOTATIONS)


def references(text: str) -> list[str]:
    """The NAMEs of $(NAME) in *text*, as the kubelet finds them."""
    found: list[str] = []
    at = text.find("$(")
    while at >= 0:
        end = text.find(")", at)
        if end < 0:
            break
        if end > at + 2:
            found.append(text[at + 2 : end])
        at = text.find("$(", end)
    return found


def read(pod: dict[str, Any]) -> Pod:
    """*pod* as a view. msgspec.ValidationError (with the path) where it is no pod."""
    return msgspec.convert(pod, Pod)


def normal(path: str) -> str:
    """One spelling of a folder: images link /var/run to /run, so that both are the same place."""
    cleaned = path
    if "//" in path or "/." in path or path[:1] != "/" or path[-1:] == "/":  # what is clean already needs no cleaning
        cleaned = posixpath.normpath(path)
        if cleaned.startswith("//"):
            cleaned = cleaned[1:]
    if not cleaned.startswith("/var/run"):
        return cleaned
    return "/run" + cleaned[len("/var/run") :] if f"{cleaned}/".startswith("/var/run/") else cleaned


def covers(mount_path: str, directory: str) -> bool:
    """True if a volume mounted at *mount_path* holds *directory*."""
    outer, inner = normal(mount_path), normal(directory)
    return inner == outer or inner.startswith(outer.rstrip("/") + "/")


def holding(mounts: list[VolumeMount], directory: str) -> VolumeMount | None:
    """The mount that *directory* lies on: the deepest that covers it."""
    over = [mount for mount in mounts if covers(mount.mount_path, directory)]
    return max(over, key=lambda mount: len(normal(mount.mount_path)), default=None)
