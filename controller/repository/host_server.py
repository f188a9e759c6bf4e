"""The container of a repository host that PostgreSQL's pods reach: pgBackRest's server, and what it can see. Pure.

What a client can name, it can read and write: so there is the repository's volume, and of keys what clients have, too.
"""

from __future__ import annotations

from controller import pod_parts
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.contract import environment, programs

#: Where Kubernetes would put a token of the pod's service account, if there were nothing.
_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105


#: All that it does is to accept; the agent's own probe would start a Python for the same question.
_ACCEPTS: Object = {"tcpSocket": {"port": names.PORT_PGBACKREST}, "timeoutSeconds": 10}


def container(repository: str, spec: RepositorySpec, settings: Settings, resources: Object) -> Object:
    mounts: list[Object] = [
        {"name": names.VOLUME_SERVER_SOURCE, "mountPath": names.SOURCE_DIR, "readOnly": True},
        {"name": names.VOLUME_SERVER_CONF, "mountPath": names.CONF_DIR},
        {"name": names.VOLUME_SERVER_WORK, "mountPath": names.WORK_DIR},
        {"name": names.VOLUME_SERVER_TMP, "mountPath": "/tmp"},  # noqa: S108  an emptyDir of the container's own
        {"name": names.VOLUME_REPO, "mountPath": names.REPO_DIR},
    ]
    if spec.service_account_name:
        mounts.append({"name": names.VOLUME_SERVER_TMP, "mountPath": _TOKEN, "subPath": "no-token"})
    return {
        "name": names.CONTAINER_SERVER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": programs.AGENT,
        "env": pod_parts.variables(environment.of_server(names.stanza(repository, spec.stanza))),
        "ports": [{"name": "pgbackrest", "containerPort": names.PORT_PGBACKREST, "protocol": "TCP"}],
        "startupProbe": _ACCEPTS | {"periodSeconds": 2, "failureThreshold": 150},
        "readinessProbe": _ACCEPTS | {"periodSeconds": 5},
        "livenessProbe": _ACCEPTS | {"periodSeconds": 30, "failureThreshold": 10},
        "resources": resources,
        "securityContext": pod_parts.container_security(),
        "volumeMounts": mounts,
    }


def volumes(repository: str) -> list[Object]:
    conf = {"key": names.KEY_SERVER_CONF, "path": names.KEY_SERVER_CONF}
    sources: list[Object] = [
        {"configMap": {"name": names.host(repository), "items": [conf]}},
        {"secret": {"name": names.server(repository)}},
    ]
    return [
        {"name": names.VOLUME_SERVER_SOURCE, "projected": {"defaultMode": 0o444, "sources": sources}},
        {"name": names.VOLUME_SERVER_CONF, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        {"name": names.VOLUME_SERVER_WORK, "emptyDir": {}},
        {"name": names.VOLUME_SERVER_TMP, "emptyDir": {}},
    ]
