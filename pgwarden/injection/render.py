"""The third stage: containers, volumes and mounts to inject, rendered once for all pods of one template.

A Recipe holds everything that a rendering depends on, so that a changed Repository or image is another Recipe and
nothing here can be stale.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import msgspec

from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.contract import environment as variables
from pgwarden.contract import programs
from pgwarden.injection.decide import Recipe
from pgwarden.injection.pods import VolumeMount, normal
from pgwarden.pgbackrest import commands, identity

_CACHED = 128  # renderings of some 6 kB
_CACHED_SIZE = 16_384  # bytes of a Recipe: a larger one, that someone made to fill memory, is rendered anew each time
_ANYONE_READS = 0o444  # the kubelet writes as root, and the pod may run as any user
_PROJECTED = (
    names.KEY_CA_CERT,
    names.KEY_TLS_CERT,
    names.KEY_TLS_KEY,
    names.KEY_CREDENTIALS_CONF,
    names.KEY_STORAGE_CA,
)


class Fragments(msgspec.Struct, frozen=True, kw_only=True):
    """Encoded JSON, ready to stand as the value of a patch operation; of several, each under its name in the pod."""

    sidecar: msgspec.Raw  # of initContainers
    volumes: dict[str, msgspec.Raw]
    mounts: dict[str, msgspec.Raw]  # of the main container
    service_account: str  # to run as; empty: the pod's own
    pull_secrets: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]  # server settings to append as arguments; empty for ALTER SYSTEM
    annotations: dict[str, str]


def render(recipe: Recipe) -> Fragments:
    size = len(recipe.environment) + sum(
        len(mount.mount_path) + len(mount.sub_path_expr or "") for mount in recipe.mounts
    )
    size += len(recipe.given_password) + len(recipe.password_file) + sum(len(one.name) for one in recipe.facts.sources)
    return _remembered(recipe) if size + len(recipe.facts.data_directory) < _CACHED_SIZE else _render(recipe)


def _render(recipe: Recipe) -> Fragments:
    sidecar = _raw(_sidecar(recipe))
    volumes = {each["name"]: _raw(each) for each in _volumes(recipe)}
    mounts = {each["name"]: _raw(each) for each in _main_mounts(recipe)}
    settings = server_settings(recipe.stanza, recipe.role_arn) if recipe.facts.configured_by == "Arguments" else ()
    parts = [sidecar, *volumes.values(), *mounts.values(), msgspec.json.encode(settings)]
    if recipe.service_account:
        parts.append(recipe.service_account.encode())
    if recipe.pull_secrets:
        parts.append(msgspec.json.encode(recipe.pull_secrets))
    digest = hashlib.sha256(b"\n".join(bytes(part) for part in parts)).hexdigest()[:16]
    annotations = {
        names.ANNOTATION_INJECTED: digest,
        names.ANNOTATION_POSTGRES: msgspec.json.encode(recipe.facts).decode(),
    }
    if recipe.shrunk:
        annotations[names.ANNOTATION_SHRUNK] = recipe.shrunk
    return Fragments(
        sidecar=sidecar,
        volumes=volumes,
        mounts=mounts,
        service_account=recipe.service_account,
        pull_secrets=recipe.pull_secrets,
        settings=settings,
        annotations=annotations,
    )


_remembered = lru_cache(maxsize=_CACHED)(_render)


def server_settings(stanza: str, role_arn: str = "") -> tuple[tuple[str, str], ...]:
    """The server settings that make PostgreSQL archive, and replicas replay what has left the primary."""
    return (
        ("archive_mode", "on"),
        ("archive_command", commands.archive_command(stanza, role_arn)),
        ("restore_command", commands.restore_command(stanza, role_arn)),
    )


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _sidecar(recipe: Recipe) -> Object:
    """Complete by itself, as neither quota nor Pod Security may refuse a database for us."""
    facts = recipe.facts
    check = {"exec": {"command": programs.CHECK}, "timeoutSeconds": 10}
    return {
        "name": names.CONTAINER_SIDECAR,
        "image": recipe.settings.image,
        "imagePullPolicy": recipe.settings.image_pull_policy,
        "restartPolicy": "Always",
        "command": programs.AGENT,
        # The kubelet starts the next container when it has ended: PostgreSQL finds the tools. A container of their own
        # would hold PostgreSQL back for a second more, at each start.
        "lifecycle": {"postStart": {"exec": {"command": [*programs.INSTALL_TOOLS, "--to", names.TOOLS_TARGET]}}},
        "env": _environment(recipe),
        "ports": [
            {"name": "pgbackrest", "containerPort": names.PORT_PGBACKREST, "protocol": "TCP"},
            {"name": "pgwarden-agent", "containerPort": names.PORT_AGENT, "protocol": "TCP"},
        ],
        # No startupProbe: a native sidecar that fails it would hold back PostgreSQL, and PostgreSQL comes first.
        # A check starts a Python: seldom.
        "livenessProbe": check | {"initialDelaySeconds": 20, "periodSeconds": 30, "failureThreshold": 10},
        "volumeMounts": _sidecar_mounts(recipe),
        "resources": msgspec.json.decode(recipe.resources),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": facts.run_as_user,
            "runAsGroup": facts.run_as_group,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def _environment(recipe: Recipe) -> list[Object]:
    values = variables.of_postgres(recipe.stanza, recipe.facts) | identity.environment(recipe.role_arn)
    if recipe.password_file:
        values[variables.PASSWORD_FILE] = recipe.password_file
    # The kubelet would expand $(…).
    environment: list[Object] = [{"name": name, "value": value.replace("$(", "$$(")} for name, value in values.items()]
    if recipe.password is not None:
        # Optional, so that a missing Secret is reported by the agent and does not keep the database from starting.
        reference = {"name": recipe.password.name, "key": recipe.password.key or "password", "optional": True}
        environment.append({"name": "PGPASSWORD", "valueFrom": {"secretKeyRef": reference}})
    elif recipe.given_password:
        environment.append({"name": "PGPASSWORD", "value": recipe.given_password})
    environment += variables.by_reference(recipe.facts)
    # For subPathExpr. First, as a value may refer only to what stands before it; ours win over one of the same name.
    ours = {each["name"] for each in environment}
    borrowed = [each for each in msgspec.json.decode(recipe.environment) if each["name"] not in ours]
    return [*borrowed, *environment]


def _main_mounts(recipe: Recipe) -> list[Object]:
    mounts: list[Object] = [
        {"name": names.VOLUME_TOOLS, "mountPath": names.TOOLS_DIR, "readOnly": True},
        {"name": names.VOLUME_CONF, "mountPath": names.CONF_DIR, "readOnly": True},
        {"name": names.VOLUME_WORK, "mountPath": names.WORK_DIR},
    ]
    mounts += identity.mounts(recipe.role_arn)
    if recipe.socket is None:
        mounts.append({"name": names.VOLUME_SOCKET, "mountPath": recipe.facts.socket_directory})
    return mounts


def _sidecar_mounts(recipe: Recipe) -> list[Object]:
    """The user's mounts as they are, but read-only: the sidecar has nothing to write into a data directory."""
    mounts: list[Object] = [
        {"name": names.VOLUME_TOOLS, "mountPath": names.TOOLS_TARGET},
        {"name": names.VOLUME_SOURCE, "mountPath": names.SOURCE_DIR, "readOnly": True},
        {"name": names.VOLUME_CONF, "mountPath": names.CONF_DIR},
        {"name": names.VOLUME_WORK, "mountPath": names.WORK_DIR},
    ]
    mounts += identity.mounts(recipe.role_arn)
    mounts += [_as_mounted(mount) | {"readOnly": True} for mount in recipe.mounts]
    if recipe.socket is None:
        mounts.append({"name": names.VOLUME_SOCKET, "mountPath": recipe.facts.socket_directory})
    elif recipe.socket not in recipe.mounts:
        mounts.append(_as_mounted(recipe.socket))
    password = recipe.password_mount
    if password is not None and password not in (*recipe.mounts, recipe.socket):
        mounts.append(_as_mounted(password) | {"readOnly": True})
    if not any(normal(mount["mountPath"]) == "/tmp" for mount in mounts):  # noqa: S108  a folder of the container
        mounts.append({"name": names.VOLUME_TMP, "mountPath": "/tmp"})  # noqa: S108
    return mounts


def _as_mounted(mount: VolumeMount) -> Object:
    copy: Object = {"name": mount.name, "mountPath": mount.mount_path}
    if mount.sub_path:
        copy["subPath"] = mount.sub_path
    if mount.sub_path_expr:
        copy["subPathExpr"] = mount.sub_path_expr
    return copy


def _volumes(recipe: Recipe) -> list[Object]:
    pod_conf = {"key": names.KEY_POD_CONF, "path": names.KEY_POD_CONF}
    secrets = [{"key": key, "path": key} for key in _PROJECTED]
    # Optional: a pod may start before its Repository is ready, and its WAL then waits in pg_wal.
    sources = [
        {"configMap": {"name": names.host(recipe.repository), "optional": True, "items": [pod_conf]}},
        {"secret": {"name": names.pods(recipe.repository), "optional": True, "items": secrets}},
    ]
    volumes: list[Object] = [
        {"name": names.VOLUME_TOOLS, "emptyDir": {}},
        {"name": names.VOLUME_SOURCE, "projected": {"defaultMode": _ANYONE_READS, "sources": sources}},
        {"name": names.VOLUME_CONF, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        {"name": names.VOLUME_WORK, "emptyDir": {}},
        {"name": names.VOLUME_TMP, "emptyDir": {}},
    ]
    volumes += identity.volumes(recipe.role_arn)
    if recipe.socket is None:
        volumes.append({"name": names.VOLUME_SOCKET, "emptyDir": {}})
    return volumes
