"""The Job that carries out a Backup. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from controller import pod_parts
from controller.settings import Settings
from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.kinds import BackupSpec, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.contract import environment, programs

RETRIES = 2  # a Job's pod that was killed is made again; pgBackRest resumes what it had copied
DEADLINE = 24 * 3600  # seconds, where the Backup names none
EXPIRE_DEADLINE = 1800  # seconds to remove a set's files


def job(
    backup: Object,
    spec: BackupSpec,
    repository: Object,
    repo_spec: RepositorySpec,
    argv: Sequence[str],
    settings: Settings,
    *,
    storage: str,
) -> Object:
    """*storage* is the one that *argv* uses."""
    name, namespace = backup["metadata"]["name"], backup["metadata"]["namespace"]
    repo_name = repository["metadata"]["name"]
    labels = pod_parts.labels(repo_name, "backup", **{names.LABEL_BACKUP: names.short(name, 63)})
    # A volume that is lost must not keep the Job of another storage from starting.
    with_repo = storages.volume(repo_spec, storage) is not None
    container = {
        "name": "pgbackrest",
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": programs.JOB,
        "args": ["backup", "--", *argv],
        "env": pod_parts.environment(environment.of_repository(repo_name), repo_spec),
        "resources": pod_parts.resources(repo_spec),
        "securityContext": pod_parts.container_security(),
        "volumeMounts": pod_parts.host_mounts(repo_spec, with_repo=with_repo),
    }
    pod: Object = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": pod_parts.host_volumes(repo_name, repo_spec, with_repo=with_repo),
        "securityContext": pod_parts.pod_security(),
        "enableServiceLinks": False,
    } | pod_parts.service_account(repo_spec)
    if with_repo:
        pod["affinity"] = _beside_host(repo_name)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.backup_job(name),
            "namespace": namespace,
            "labels": labels,
            "ownerReferences": [pod_parts.owner(backup)],
        },
        "spec": {
            "backoffLimit": RETRIES,
            "activeDeadlineSeconds": spec.active_deadline_seconds or DEADLINE,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def expire_job(
    backup: Object,
    repository: Object,
    repo_spec: RepositorySpec,
    argv: Sequence[str],
    settings: Settings,
    *,
    storage: str,
) -> Object:
    """The Job that expires the set of a deleted Backup: the backup's own Job with another command."""
    name = backup["metadata"]["name"]
    spec = BackupSpec(repository=repository["metadata"]["name"])
    made = job(backup, spec, repository, repo_spec, argv, settings, storage=storage)
    template = made["spec"]["template"]
    template["spec"]["containers"][0]["args"] = ["expire", "--", *argv]
    for metadata in (made["metadata"], template["metadata"]):
        metadata["labels"] = metadata["labels"] | {names.LABEL_COMPONENT: "expire"}
    made["metadata"]["name"] = names.expire_job(name)
    made["spec"]["activeDeadlineSeconds"] = EXPIRE_DEADLINE
    return made


def _beside_host(repository: str) -> Object:
    """On the host's node: its volume is ReadWriteOnce, which binds a node, not a pod."""
    term = {
        "labelSelector": {"matchLabels": pod_parts.labels(repository, "host")},
        "topologyKey": "kubernetes.io/hostname",
    }
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
