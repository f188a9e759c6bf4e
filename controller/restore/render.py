"""The claims and the Job of a Restore, and the Backup after it. Pure."""

from __future__ import annotations

import posixpath
from typing import Any

from controller import pod_parts
from controller.recovery.plan import Plan
from controller.settings import Settings
from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec, RestoreSpec
from pgwarden.api.objects import Object
from pgwarden.contract import environment, programs
from pgwarden.pgbackrest import commands, identity
from pgwarden.pgbackrest.user_options import parse_options

RETRIES = 3
#: A hung Job ends at last; a large cluster is not cut off.
DEADLINE = 7 * 24 * 3600  # seconds
DESCRIPTION = "kubernetes.io/description"
VOLUME_DATA = "data"
#: The component of a claim that is ours to delete (it stands only until the swap), and of one that the user asked for.
IN_BETWEEN, COPY = "restore", "copy"
_SECURITY = ("fsGroup", "fsGroupChangePolicy", "supplementalGroups", "supplementalGroupsPolicy", "seLinuxOptions")
_SCHEDULING = (
    "nodeSelector",
    "tolerations",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "imagePullSecrets",
)


def storage(plan: Plan, spec: RestoreSpec) -> str:
    """The one that is restored from, and backed up to afterwards; empty where pgBackRest may choose."""
    return plan.storage or spec.storage


def labels(plan: Plan) -> dict[str, str]:
    return pod_parts.labels(plan.repository, "restore", **{names.LABEL_RESTORE: plan.restore})


# --- claims ------------------------------------------------------------------------------------------------------


def restored_claim(plan: Plan, namespace: str) -> Object:
    """What the Job restores into, like the claim it will replace. It has no owner, as it is to stay."""
    own = labels(plan) | {names.LABEL_COMPONENT: IN_BETWEEN if plan.in_place else COPY}
    body = _claim(plan.new_claim, namespace, dict(plan.restored_spec), own)
    body["metadata"]["annotations"] = {names.ANNOTATION_RESTORE_UID: plan.restore_uid}
    return body


def user_claim(plan: Plan, namespace: str, volume: str) -> Object:
    """The claim under the user's name, with all that the user's had, for the old volume or for the restored one."""
    restored = plan.new_volume is not None and plan.new_volume.name == volume
    spec = plan.restored_spec if restored else plan.claim_spec
    body = _claim(plan.claim, namespace, spec | {"volumeName": volume}, plan.claim_labels)
    # Beside the kept claim, which may be deleted; the old volume again is nothing that was restored.
    marks = _done_by(plan) | {names.LABEL_RESTORE: plan.restore} if restored and plan.order else {}
    if plan.claim_annotations or marks:
        body["metadata"]["annotations"] = plan.claim_annotations | marks
    if plan.claim_owners:
        body["metadata"]["ownerReferences"] = plan.claim_owners
    return body


def kept_claim(plan: Plan, namespace: str, volume: str) -> Object:
    """The old volume's. None of the user's labels: nothing that selects by them may find two claims."""
    text = (
        f"The data of claim {plan.claim} from before Restore {plan.restore}. To undo the restore: kubectl pgwarden "
        f"undo {plan.restore}, which needs the backups only. Without them: scale {plan.workload_kind} "
        f"{plan.workload} to 0, set the reclaim policy of both volumes to Retain, delete both claims, and create "
        f"claim {plan.claim} again with spec.volumeName {volume} (after removing uid from the volume's claimRef); "
        f"then take a full backup. Delete this claim when you no longer need the data."
    )
    body = _kept(plan, plan.kept_claim, namespace, plan.claim_spec | {"volumeName": volume}, text)
    body["metadata"]["annotations"] |= _done_by(plan)
    return body


def _done_by(plan: Plan) -> dict[str, str]:
    """By this the Restore is known to have been done, should it come back without its own mark."""
    if not plan.order:
        return {}  # planned by an earlier version
    return {names.ANNOTATION_RESTORE_UID: plan.restore_uid, names.ANNOTATION_RESTORE_ORDER: plan.order}


def failed_claim(plan: Plan, namespace: str, volume: str) -> Object:
    text = (
        f"What Restore {plan.restore} put in the place of claim {plan.claim}; PostgreSQL did not recover on it. "
        f"Delete this claim when it is not needed any more."
    )
    return _kept(plan, plan.failed_claim, namespace, plan.restored_spec | {"volumeName": volume}, text)


def _kept(plan: Plan, name: str, namespace: str, spec: dict[str, Any], text: str) -> Object:
    kept = {
        names.MANAGED_BY: "pgwarden",
        names.LABEL_OWNER_REPOSITORY: plan.repository,
        names.LABEL_KEPT_BY: plan.restore,
    }
    body = _claim(name, namespace, spec, kept)
    body["metadata"]["annotations"] = {DESCRIPTION: text, names.ANNOTATION_RESTORE_UID: plan.restore_uid}
    return body


def _claim(name: str, namespace: str, spec: dict[str, Any], own_labels: dict[str, str]) -> Object:
    metadata: Object = {"name": name, "namespace": namespace}
    if own_labels:
        metadata["labels"] = own_labels
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


# --- the backup after a restore --------------------------------------------------------------------------------


def backup(plan: Plan, spec: RestoreSpec, namespace: str) -> Object:
    """It has no owner: it outlives the Restore."""
    wanted: Object = {"repository": plan.repository, "type": "full"}
    if storage(plan, spec):
        wanted["storage"] = storage(plan, spec)
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Backup",
        "metadata": {
            "name": plan.backup_after,
            "namespace": namespace,
            "labels": {
                names.MANAGED_BY: "pgwarden",
                names.LABEL_OWNER_REPOSITORY: plan.repository,
                names.LABEL_RESTORE: plan.restore,
            },
            # A new one, though an earlier Restore of the name may have asked for the same.
            "annotations": {names.ANNOTATION_RUN_AGAIN: plan.restore_uid} | _done_by(plan) | _undone_by(plan),
        },
        "spec": wanted,
    }


def _undone_by(plan: Plan) -> dict[str, str]:
    """What an undo goes by, should the Restore be gone: the Backup takes it into the repository, on its set."""
    told = {
        names.ANNOTATION_TIMELINE_BEFORE: str(plan.timeline_before or ""),
        names.ANNOTATION_LSN_BEFORE: plan.lsn_before,
        names.ANNOTATION_STOPPED: plan.stopped,
    }
    return {key: value for key, value in told.items() if value}


# --- the Job -------------------------------------------------------------------------------------------------------


def scheduling(template: Object, node: str) -> dict[str, Any]:
    """Where the pod may run. Affinity to and against other pods is left out: the pod that is replaced still stands."""
    spec = template.get("spec", {})
    found = {key: spec[key] for key in _SCHEDULING if spec.get(key)}
    node_affinity = dict(spec.get("affinity", {}).get("nodeAffinity", {}))
    if node:
        # The new volume is made where the Job runs: there the pod could be, with all that it mounts.
        beside = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
        preferred = node_affinity.get("preferredDuringSchedulingIgnoredDuringExecution", [])
        node_affinity["preferredDuringSchedulingIgnoredDuringExecution"] = [
            *preferred,
            {"weight": 100, "preference": beside},
        ]
    if node_affinity:
        found["affinity"] = {"nodeAffinity": node_affinity}
    return found


def job(restore: Object, plan: Plan, spec: RestoreSpec, repo_spec: RepositorySpec, settings: Settings) -> Object:
    namespace = restore["metadata"]["namespace"]
    pod: Object = {
        "restartPolicy": "Never",
        "containers": [_container(plan, spec, repo_spec, settings)],
        "volumes": _volumes(plan, repo_spec),
        "securityContext": _pod_security(plan),
        "enableServiceLinks": False,
    }
    if plan.own_volume:
        pod["initContainers"] = [_owner_container(plan, settings)]
    pod |= plan.scheduling | pod_parts.service_account(repo_spec)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.restore_job(plan.restore),
            "namespace": namespace,
            "labels": labels(plan),
            "ownerReferences": [pod_parts.owner(restore)],
        },
        "spec": {
            "backoffLimit": RETRIES,
            "activeDeadlineSeconds": DEADLINE,
            "template": {"metadata": {"labels": labels(plan)}, "spec": pod},
        },
    }


def arguments(plan: Plan, spec: RestoreSpec, repo_spec: RepositorySpec) -> list[str]:
    """pgBackRest's. `--delta` is the Job's own business: only it sees what a killed pod left."""
    options, _ = parse_options(spec.options, command="restore", storages=repo_spec.storages)
    return commands.restore_argv(
        names.stanza(plan.repository),
        target=spec.target,
        timeline=spec.target_timeline,
        backup_set=spec.set,
        repo=repo_spec.repo_number(chosen) if (chosen := storage(plan, spec)) else None,
        data_directory=plan.facts.data_directory,
        options=options,
        role_arn=storages.role(repo_spec),
    )


def volume_root(plan: Plan) -> str:
    """The mount that the data directory is in."""
    data = plan.facts.data_directory
    paths = [str(mount["mountPath"]) for mount in plan.mounts]
    holding = [p for p in paths if posixpath.commonpath([p, data]) == posixpath.normpath(p)]
    return max(holding, key=len, default=data)


def _container(plan: Plan, spec: RestoreSpec, repo_spec: RepositorySpec, settings: Settings) -> Object:
    own = ["restore", "--pg-data", plan.facts.data_directory, "--volume-root", volume_root(plan)]
    own += ["--uid", plan.restore_uid]
    own += [word for folder in plan.tablespaces for word in ("--tablespace", folder)]
    return {
        "name": "pgbackrest",
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": programs.JOB,
        "args": [*own, "--", *arguments(plan, spec, repo_spec)],
        "env": pod_parts.environment(environment.of_postgres(plan.repository, plan.facts), repo_spec),
        "resources": pod_parts.resources(repo_spec),
        "securityContext": pod_parts.container_security()
        | {"runAsNonRoot": True, "runAsUser": plan.facts.run_as_user, "runAsGroup": plan.facts.run_as_group},
        "volumeMounts": [
            *_data_mounts(plan),
            {"name": names.VOLUME_SOURCE, "mountPath": names.SOURCE_DIR, "readOnly": True},
            {"name": names.VOLUME_CONF, "mountPath": names.CONF_DIR},
            {"name": names.VOLUME_WORK, "mountPath": names.WORK_DIR},
            {"name": names.VOLUME_TMP, "mountPath": "/tmp"},  # noqa: S108  an emptyDir of the pod's own
            *identity.mounts(storages.role(repo_spec)),
        ],
    }


def _owner_container(plan: Plan, settings: Settings) -> Object:
    """Where PostgreSQL's image starts as root to take its volume, the Job has to do that too."""
    user, group = str(plan.facts.run_as_user), str(plan.facts.run_as_group)
    return {
        "name": "own",
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": programs.JOB,
        "args": ["own", "--path", volume_root(plan), "--uid", user, "--gid", group],
        "resources": pod_parts.DEFAULT_RESOURCES,
        "securityContext": {
            "runAsUser": 0,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]},
        },
        "volumeMounts": _data_mounts(plan),
    }


def _pod_security(plan: Plan) -> Object:
    """The user's own where the volume's ownership hangs on it; the rest as restricted Pod Security asks."""
    kept = {key: value for key, value in plan.security.items() if key in _SECURITY}
    return kept | {
        "runAsUser": plan.facts.run_as_user,
        "runAsGroup": plan.facts.run_as_group,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _data_mounts(plan: Plan) -> list[Object]:
    return [dict(mount) | {"name": VOLUME_DATA} for mount in plan.mounts]


def _volumes(plan: Plan, repo_spec: RepositorySpec) -> list[Object]:
    """A PostgreSQL pod's view of the Repository: through the host for a local storage, else straight to S3."""
    pod_conf = {"key": names.KEY_POD_CONF, "path": names.KEY_POD_CONF}
    sources = [
        {"configMap": {"name": names.host(plan.repository), "items": [pod_conf]}},
        {"secret": {"name": names.pods(plan.repository)}},
    ]
    return [
        {"name": VOLUME_DATA, "persistentVolumeClaim": {"claimName": plan.new_claim}},
        {"name": names.VOLUME_SOURCE, "projected": {"defaultMode": 0o444, "sources": sources}},
        {"name": names.VOLUME_CONF, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        {"name": names.VOLUME_WORK, "emptyDir": {}},
        {"name": names.VOLUME_TMP, "emptyDir": {}},
        *identity.volumes(storages.role(repo_spec)),
    ]
