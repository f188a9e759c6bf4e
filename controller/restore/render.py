"""The claims and the recovery of a Restore, and the Backup after it. Pure."""

from __future__ import annotations

from typing import Any

from controller import pod_parts
from controller.recovery import target
from controller.recovery.order import Order, Server
from controller.recovery.plan import Plan
from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec, RestoreSpec
from pgwarden.api.objects import Object
from pgwarden.api.sizing import NOTHING, Asks
from pgwarden.api.target import rfc3339
from pgwarden.pgbackrest import commands
from pgwarden.pgbackrest.user_options import parse_options

DESCRIPTION = "kubernetes.io/description"
#: The component of a claim that is ours to delete (it stands only until the swap), and of one that the user asked for.
IN_BETWEEN, COPY = "restore", "copy"


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


# --- the recovery --------------------------------------------------------------------------------------------------


def order(restore: Object, plan: Plan, spec: RestoreSpec, repo_spec: RepositorySpec, wanted: Asks = NOTHING) -> Order:
    """Of a Restore in place to the latest state, the recovery follows the old server until that has stopped."""
    return Order(
        job=names.restore_job(plan.restore),
        namespace=restore["metadata"]["namespace"],
        owner=restore,
        labels=labels(plan),
        repository=plan.repository,
        repo_spec=repo_spec,
        facts=plan.facts,
        server=Server(
            image=plan.image,
            image_pull_policy=plan.image_pull_policy,
            bin_directory=plan.bin_directory,
            preload=tuple(plan.preload),
            environment=tuple(plan.server_environment),
        ),
        claim=plan.new_claim,
        mounts=tuple(plan.mounts),
        uid=plan.restore_uid,
        arguments=tuple(arguments(plan, spec, repo_spec)),
        tablespaces=tuple(plan.tablespaces),
        follow=follows(plan, spec),
        as_of=target.as_of(spec, repo_spec),
        target_time=rfc3339(moment) if (moment := target.wanted_time(spec)) else "",
        scheduling=plan.scheduling,
        security=plan.security,
        own_volume=plan.own_volume,
        asks=wanted,
    )


def follows(plan: Plan, spec: RestoreSpec) -> bool:
    """Whether the recovery ends only when the old server has: to the latest state, along the newest timeline."""
    return plan.in_place and spec.target is None and spec.target_timeline in {"", "latest"}


def arguments(plan: Plan, spec: RestoreSpec, repo_spec: RepositorySpec) -> list[str]:
    """pgBackRest's. `--delta` is the Job's own business: only it sees what a killed pod left."""
    options, _ = parse_options(spec.options, command="restore", storages=repo_spec.storages)
    return commands.restore_argv(
        names.stanza(plan.repository, repo_spec.stanza),
        target=spec.target,
        timeline=spec.target_timeline,
        backup_set=spec.set,
        repo=repo_spec.repo_number(chosen) if (chosen := storage(plan, spec)) else None,
        data_directory=plan.facts.data_directory,
        options=options,
        role_arn=storages.role(repo_spec),
    )
