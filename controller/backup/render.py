"""The Job that carries out a Backup. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from controller import placement, pod_parts
from controller.pod_terms import PLAIN, PodTerms
from controller.settings import Settings
from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.kinds import BackupSpec, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.contract import environment, programs

#: A Job's pod that was killed is made again; it looks for the set first, and pgBackRest resumes what it had copied.
RETRIES = 2


def job(
    backup: Object,
    spec: BackupSpec,
    repository: Object,
    repo_spec: RepositorySpec,
    argv: Sequence[str],
    settings: Settings,
    terms: PodTerms = PLAIN,
    *,
    storage: str,
) -> Object:
    """*storage* is the one that *argv* uses. It has no deadline unless the user gives it one: what advances is not
    ended, and what stands still is (`progress.stood_still`).
    """
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
        "env": pod_parts.environment(environment.of_repository(names.stanza(repo_name, repo_spec.stanza)), repo_spec),
        "resources": pod_parts.resources(_sized(repo_spec, spec), terms.asks),
        "ports": [{"name": "pgwarden-agent", "containerPort": names.PORT_AGENT, "protocol": "TCP"}],
        "securityContext": pod_parts.container_security(),
        "volumeMounts": pod_parts.host_mounts(repo_spec, with_repo=with_repo),
    }
    pod: Object = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": pod_parts.host_volumes(repo_name, repo_spec, with_repo=with_repo),
        "securityContext": pod_parts.pod_security(),
        "enableServiceLinks": False,
    }
    pod |= pod_parts.service_account(repo_spec) | placement.fields(repo_spec.pod_template.spec, terms.inherited)
    if with_repo:
        placement.with_term(pod, "podAffinity", placement.REQUIRED, _beside_host(repo_name))
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
            "template": {"metadata": _pod_metadata(spec, repo_spec, labels), "spec": pod},
        }
        | ({"activeDeadlineSeconds": spec.active_deadline_seconds} if spec.active_deadline_seconds else {}),
    }


def _sized(repo_spec: RepositorySpec, spec: BackupSpec) -> RepositorySpec:
    """The Backup's own size goes before the Repository's."""
    return msgspec.structs.replace(repo_spec, resources=spec.resources) if spec.resources else repo_spec


def _pod_metadata(spec: BackupSpec, repo_spec: RepositorySpec, labels: dict[str, str]) -> Object:
    """The user's labels and annotations go on the pod, for what looks at pods (a mesh, a scraper); ours win."""
    given = repo_spec.pod_template.metadata
    own = msgspec.structs.replace(
        given, labels=given.labels | spec.pod_labels, annotations=given.annotations | spec.pod_annotations
    )
    return placement.metadata(own, labels)


def expire_job(
    backup: Object,
    repository: Object,
    repo_spec: RepositorySpec,
    argv: Sequence[str],
    settings: Settings,
    terms: PodTerms = PLAIN,
    *,
    storage: str,
) -> Object:
    """The Job that expires the set of a deleted Backup: the backup's own Job with another command."""
    name = backup["metadata"]["name"]
    spec = msgspec.structs.replace(msgspec.convert(backup["spec"], BackupSpec), active_deadline_seconds=None)
    made = job(backup, spec, repository, repo_spec, argv, settings, terms, storage=storage)
    template = made["spec"]["template"]
    template["spec"]["containers"][0]["args"] = ["expire", "--", *argv]
    for metadata in (made["metadata"], template["metadata"]):
        metadata["labels"] = metadata["labels"] | {names.LABEL_COMPONENT: "expire"}
    made["metadata"]["name"] = names.expire_job(name)
    return made


def _beside_host(repository: str) -> Object:
    """On the host's node: its volume is ReadWriteOnce, which binds a node, not a pod."""
    return {
        "labelSelector": {"matchLabels": pod_parts.labels(repository, "host")},
        "topologyKey": "kubernetes.io/hostname",
    }
