"""Pieces of pods that several renderers share: security, volumes, owner references. Pure."""

from __future__ import annotations

from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.api.sizing import Asks, Size, fitted
from pgwarden.pgbackrest import identity

#: Of each container of the repository host and of Jobs.
SIZE = Size(
    always={"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
    if_asked={"limits.cpu": "1", "limits.ephemeral-storage": "1Gi", "requests.ephemeral-storage": "64Mi"},
)


def owner(obj: Object) -> Object:
    """The owner reference that lets the garbage collector remove what was made for *obj*."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def labels(repository: str, component: str, **more: str) -> dict[str, str]:
    """Labels of everything we make for *repository*. Values longer than 63 characters are shortened."""
    return {
        names.MANAGED_BY: "pgwarden",
        names.LABEL_OWNER_REPOSITORY: names.short(repository, 63),
        names.LABEL_COMPONENT: component,
    } | more


def container_security() -> Object:
    """What restricted Pod Security asks of a container."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def pod_security(uid: int = names.OWN_UID, gid: int = names.OWN_UID) -> Object:
    return {
        "runAsNonRoot": True,
        "runAsUser": uid,
        "runAsGroup": gid,
        "fsGroup": gid,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def host_volumes(repository: str, spec: RepositorySpec, *, with_repo: bool) -> list[Object]:
    """Volumes of the repository host and of backup Jobs: configuration, scratch, and the local storage's volume."""
    volumes: list[Object] = [
        {
            "name": names.VOLUME_SOURCE,
            "projected": {
                "defaultMode": 0o444,
                "sources": [
                    {
                        "configMap": {
                            "name": names.host(repository),
                            "items": [{"key": names.KEY_HOST_CONF, "path": names.KEY_HOST_CONF}],
                        }
                    },
                    {"secret": {"name": names.host(repository)}},
                ],
            },
        },
        {"name": names.VOLUME_CONF, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        {"name": names.VOLUME_WORK, "emptyDir": {}},
        {"name": names.VOLUME_TMP, "emptyDir": {}},
    ]
    if with_repo:
        volumes.append(
            {"name": names.VOLUME_REPO, "persistentVolumeClaim": {"claimName": names.repo_claim(repository)}}
        )
    return volumes + identity.volumes(storages.role(spec))


def host_mounts(spec: RepositorySpec, *, with_repo: bool) -> list[Object]:
    mounts: list[Object] = [
        {"name": names.VOLUME_SOURCE, "mountPath": names.SOURCE_DIR, "readOnly": True},
        {"name": names.VOLUME_CONF, "mountPath": names.CONF_DIR},
        {"name": names.VOLUME_WORK, "mountPath": names.WORK_DIR},
        {"name": names.VOLUME_TMP, "mountPath": "/tmp"},  # noqa: S108  an emptyDir of the pod's own
    ]
    if with_repo:
        mounts.append({"name": names.VOLUME_REPO, "mountPath": names.REPO_DIR})
    return mounts + identity.mounts(storages.role(spec))


def environment(values: dict[str, str], spec: RepositorySpec) -> list[Object]:
    """*values*, and what pgBackRest needs to find a web identity."""
    return variables(values | identity.environment(storages.role(spec)))


def variables(values: dict[str, str]) -> list[Object]:
    return [{"name": name, "value": value} for name, value in sorted(values.items())]


def resources(spec: RepositorySpec, wanted: Asks, containers: int = 1) -> Object:
    """Of a container in a pod of ours in which so many run at once. *wanted*: by the namespace."""
    return fitted(spec.resources or None, SIZE, wanted.shared_by(containers))


def service_account(spec: RepositorySpec) -> Object:
    """Only where the user names one (web identity) does a pod of ours get a token."""
    if spec.service_account_name:
        return {"serviceAccountName": spec.service_account_name}
    return {"automountServiceAccountToken": False}
