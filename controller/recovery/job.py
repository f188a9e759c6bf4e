"""The Job of a recovery: a pod with the workload's own server, and beside it the agent that steers it. Pure.

pgwarden-tools   copies pgBackRest and the server's script to where the server finds them
needs            looks in the workload's image for what the source has, where that is known
pgbackrest       the agent, a native sidecar: restores, says what the server is to do, answers how far it is
postgres         the workload's image; its termination message is the result of the whole

They share the process namespace, by which the agent signals the server, and an emptyDir. See agent/recovery/.
"""

from __future__ import annotations

import posixpath

from controller import placement, pod_parts
from controller.recovery.order import Order
from controller.settings import Settings
from pgwarden import storages
from pgwarden.api import names, sizing
from pgwarden.api.objects import Object
from pgwarden.contract import environment, programs
from pgwarden.pgbackrest import commands, identity

RETRIES = 3
AT_ONCE = 2  # containers that run beside each other: agent and server
GRACE_SECONDS = 60  # a server that is ended has a checkpoint to write
VOLUME_DATA = "data"
VOLUME_ELSEWHERE = "elsewhere"
AGENT, SERVER = "pgbackrest", "postgres"
_TMP = "/tmp"  # noqa: S108  an emptyDir of the pod's own
_SECURITY = ("fsGroup", "fsGroupChangePolicy", "supplementalGroups", "supplementalGroupsPolicy", "seLinuxOptions")


def job(order: Order, settings: Settings) -> Object:
    """It has no deadline: who asks for it watches whether it advances."""
    pod: Object = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "shareProcessNamespace": True,
        "initContainers": [
            *([_owner(order, settings)] if order.own_volume else []),
            _tools(order, settings),
            *_needs(order, settings),
            _agent(order, settings),
        ],
        "containers": [_server(order, settings)],
        "volumes": _volumes(order),
        "securityContext": _pod_security(order),
        "enableServiceLinks": False,
    }
    template = order.repo_spec.pod_template
    pod |= placement.beside(template.spec, dict(order.scheduling)) | pod_parts.service_account(order.repo_spec)
    if order.elsewhere is not None:
        pod["automountServiceAccountToken"] = False  # the data is somebody else's, and a Secret has what reads it
    about = placement.metadata(template.metadata, dict(order.labels))
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": order.job,
            "namespace": order.namespace,
            "labels": dict(order.labels),
            "ownerReferences": [pod_parts.owner(order.owner)],
        },
        "spec": {"backoffLimit": RETRIES, "template": {"metadata": about, "spec": pod}},
    }


def is_resized(job: Object, wanted: Object) -> bool:
    """Whether the containers of *job* have other requests and limits than those of *wanted*: a Job's stay as they are.

    A quota or a limit of the namespace may be newer.
    """
    before, now = _sizes(job), _sizes(wanted)
    return before.keys() != now.keys() or not all(sizing.same(before[name], now[name]) for name in now)


def _sizes(job: Object) -> dict[str, Object]:
    pod = job["spec"]["template"]["spec"]
    both = [*(pod.get("initContainers") or []), *pod["containers"]]
    return {one["name"]: one.get("resources") or {} for one in both}


def _security(order: Order) -> Object:
    user = {"runAsNonRoot": True, "runAsUser": order.facts.run_as_user, "runAsGroup": order.facts.run_as_group}
    return pod_parts.container_security() | user


def _ours(order: Order, settings: Settings, name: str) -> Object:
    return {
        "name": name,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "resources": pod_parts.resources(order.repo_spec, order.asks, AT_ONCE),
        "securityContext": _security(order),
    }


def _owner(order: Order, settings: Settings) -> Object:
    """Where PostgreSQL's image starts as root to take its volume, the Job has to do that too."""
    user, group = str(order.facts.run_as_user), str(order.facts.run_as_group)
    as_root = {"runAsNonRoot": False, "runAsUser": 0, "runAsGroup": 0}
    return _ours(order, settings, "own") | {
        "command": programs.JOB,
        "args": ["own", "--path", order.volume_root, "--uid", user, "--gid", group],
        "securityContext": pod_parts.container_security()
        | as_root
        | {"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}},
        "volumeMounts": _data_mounts(order),
    }


def _tools(order: Order, settings: Settings) -> Object:
    return _ours(order, settings, names.CONTAINER_TOOLS) | {
        "command": [*programs.INSTALL_TOOLS, "--to", names.TOOLS_TARGET],
        "volumeMounts": [{"name": names.VOLUME_TOOLS, "mountPath": names.TOOLS_TARGET}],
    }


def _needs(order: Order, settings: Settings) -> list[Object]:
    where = order.elsewhere
    if where is None or not where.needs or not order.server.bin_directory:
        return []
    script = posixpath.join(names.TOOLS_DIR, programs.NEEDS_SCRIPT)
    look = _in_servers_image(order, settings, "needs") | {
        "command": ["/bin/sh", script, where.needs, order.server.bin_directory],
        "volumeMounts": [
            {"name": names.VOLUME_TOOLS, "mountPath": names.TOOLS_DIR, "readOnly": True},
            {"name": names.VOLUME_TMP, "mountPath": _TMP},
            *_elsewhere_mounts(order),
        ],
    }
    return [look]


def _agent(order: Order, settings: Settings) -> Object:
    return _ours(order, settings, AGENT) | {
        "restartPolicy": "Always",
        "command": programs.RECOVER,
        "args": arguments(order),
        "env": [
            *pod_parts.environment(_variables(order), order.repo_spec),
            *environment.by_reference(order.facts),
        ],
        "ports": [{"name": "pgwarden-agent", "containerPort": names.PORT_AGENT, "protocol": "TCP"}],
        "volumeMounts": [
            {"name": names.VOLUME_SOURCE, "mountPath": names.SOURCE_DIR, "readOnly": True},
            *_shared_mounts(order),
        ],
    }


def _variables(order: Order) -> dict[str, str]:
    found = environment.of_postgres(names.stanza(order.repository, order.repo_spec.stanza), order.facts)
    return found | _as_of(order) | ({environment.STANZA: order.elsewhere.stanza} if order.elsewhere else {})


def _as_of(order: Order) -> dict[str, str]:
    return commands.as_of(*order.as_of) if order.as_of else {}


def arguments(order: Order) -> list[str]:
    """Of `agent recover`."""
    flags = ["--pg-data", order.facts.data_directory, "--volume-root", order.volume_root, "--uid", order.uid]
    server = order.server
    flags += ["--bin", server.bin_directory] if server.bin_directory else []
    flags += ["--preload", ",".join(server.preload)] if server.preload else []
    flags += [word for folder in order.tablespaces for word in ("--tablespace", folder)]
    flags += ["--target-time", order.target_time] if order.target_time else []
    flags += ["--config", order.elsewhere.config] if order.elsewhere else []
    flags += ["--copy"] if order.copy else []
    flags += ["--follow"] if order.follow else []
    return [*flags, "--", *order.arguments]


def _in_servers_image(order: Order, settings: Settings, name: str) -> Object:
    return {
        "name": name,
        "image": order.server.image,
        "imagePullPolicy": order.server.image_pull_policy or settings.image_pull_policy,
        "env": [dict(one) for one in order.server.environment],
        "resources": pod_parts.resources(order.repo_spec, order.asks, AT_ONCE),
        "securityContext": _security(order),
    }


def _server(order: Order, settings: Settings) -> Object:
    return _in_servers_image(order, settings, SERVER) | {
        "command": ["/bin/sh", posixpath.join(names.TOOLS_DIR, programs.RECOVER_SCRIPT)],
        "env": [*map(dict, order.server.environment), *_identity(order)],
        "volumeMounts": [
            {"name": names.VOLUME_TOOLS, "mountPath": names.TOOLS_DIR, "readOnly": True},
            *_shared_mounts(order),
        ],
    }


def _identity(order: Order) -> list[Object]:
    """By which pgBackRest, when the server asks for WAL, finds a web identity and the time that it reads as of."""
    values = identity.environment(storages.role(order.repo_spec)) | _as_of(order)
    return [{"name": name, "value": value} for name, value in sorted(values.items())]


def _shared_mounts(order: Order) -> list[Object]:
    return [
        *_data_mounts(order),
        {"name": names.VOLUME_CONF, "mountPath": names.CONF_DIR},
        {"name": names.VOLUME_WORK, "mountPath": names.WORK_DIR},
        {"name": names.VOLUME_RUN, "mountPath": names.RUN_DIR},
        {"name": names.VOLUME_TMP, "mountPath": _TMP},
        *identity.mounts(storages.role(order.repo_spec)),
        *_elsewhere_mounts(order),
    ]


def _elsewhere_mounts(order: Order) -> list[Object]:
    where = order.elsewhere
    return [{"name": VOLUME_ELSEWHERE, "mountPath": where.folder, "readOnly": True}] if where else []


def _data_mounts(order: Order) -> list[Object]:
    return [dict(mount) | {"name": VOLUME_DATA} for mount in order.mounts]


def _pod_security(order: Order) -> Object:
    """The user's own where the volume's ownership hangs on it; the rest as restricted Pod Security asks."""
    kept = {key: value for key, value in order.security.items() if key in _SECURITY}
    return kept | {
        "runAsUser": order.facts.run_as_user,
        "runAsGroup": order.facts.run_as_group,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _volumes(order: Order) -> list[Object]:
    """A PostgreSQL pod's view of the Repository: through the host for a local storage, else straight to S3."""
    pod_conf = {"key": names.KEY_POD_CONF, "path": names.KEY_POD_CONF}
    sources = [
        {"configMap": {"name": names.host(order.repository), "items": [pod_conf]}},
        {"secret": {"name": names.pods(order.repository)}},
    ]
    return [
        {"name": VOLUME_DATA, "persistentVolumeClaim": {"claimName": order.claim}},
        {"name": names.VOLUME_TOOLS, "emptyDir": {}},
        {"name": names.VOLUME_SOURCE, "projected": {"defaultMode": 0o444, "sources": sources}},
        {"name": names.VOLUME_CONF, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        {"name": names.VOLUME_WORK, "emptyDir": {}},
        {"name": names.VOLUME_RUN, "emptyDir": {}},
        {"name": names.VOLUME_TMP, "emptyDir": {}},
        *identity.volumes(storages.role(order.repo_spec)),
        *_elsewhere_volumes(order),
    ]


def _elsewhere_volumes(order: Order) -> list[Object]:
    """Owned by root and readable for the group, as pgBackRest asks of a key."""
    if order.elsewhere is None:
        return []
    secret: Object = {"secretName": order.elsewhere.secret, "defaultMode": 0o440}
    return [{"name": VOLUME_ELSEWHERE, "secret": secret}]
