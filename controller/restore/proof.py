"""The gate before every action of a Restore: what it acts on is proven by the object itself, never by the plan. Pure.

- a PersistentVolume: by its claimRef, in the Restore's namespace and under one of the plan's own names. That holds
  through the whole swap: a released volume keeps its old claimRef, and a promise is one of ours without uid;
- a claim: by the uid of the one that was there, by the Restore's own marks, or by the workload that uses it;
- a workload: it is the planned one, as it was read; a Job, and an instance of a PostgresCluster: by its owner's uid;
- a pod is only taken away when it is going anyway and has ended, by its own uid: what it was has ended by then; or
  deleted, when it is of this Restore's own Job and has done its work.

A volume's change carries the version that was looked at, so that what was proven is what is changed.
"""

from __future__ import annotations

from dataclasses import replace

from controller import jobs, owned
from controller.recovery import plan as plans
from controller.recovery.plan import Plan
from controller.restore import render
from controller.restore.facts import RestoreFacts
from controller.restore.verdict import SLOW, Action, Create, Delete, Merge, StepVerdict, wait
from controller.restore.workload import PLURALS, is_started, title, uses
from pgwarden.api import names
from pgwarden.api.objects import Object

#: The reason of a condition and of an Event: nothing was done.
REFUSED = "PlanRefused"
_WAY_OUT = "nothing happens until this is corrected"


def gate(facts: RestoreFacts, verdict: StepVerdict) -> StepVerdict:
    """*verdict*; or a wait that says what of its action cannot be proven."""
    if verdict.action is None:
        return verdict
    why = unproven(facts, verdict.action)
    if why:
        return wait(REFUSED, f"{why}; {_WAY_OUT}", again=SLOW)
    return replace(verdict, action=_versioned(facts, verdict.action))


def unproven(facts: RestoreFacts, action: Action) -> str:
    """What of *action* has no proof; empty where all has."""
    match action:
        case Create("persistentvolumeclaims", body):
            return _claim_made(facts, body)
        case Merge("persistentvolumes", _, name, _):
            return _volume(facts, name)
        case Merge("persistentvolumeclaims", namespace, name, body):
            return _claim(facts, namespace, name, str(body["metadata"].get("uid", "")))
        case Merge(("statefulsets" | "deployments") as plural, namespace, name, body):
            return _workload(facts, plural, namespace, name, str(body["metadata"].get("uid", "")))
        case Delete("persistentvolumeclaims", namespace, name, uid):
            member = facts.members is not None and _is_among(facts.members.claims, uid)
            return "" if member else _claim(facts, namespace, name, uid) or _claim_is_ours(facts, name)
        case Delete("deployments", _, name, uid):
            member = facts.members is not None and _is_among(facts.members.deployments, uid)
            return "" if member else f"Deployment {name} is not an instance of this PostgresCluster"
        case Delete("jobs", _, name, _):
            ours = facts.job is not None and owned.is_owned(facts.job, facts.planned.restore_uid)
            return "" if ours else f"Job {name} does not belong to this Restore"
        case Delete("pods", _, name, uid):
            job, own = facts.job, [pod for pod in facts.job_pods if pod["metadata"]["uid"] == uid]
            kept = job is not None and any(jobs.is_kept(job, pod, facts.now) for pod in own)
            ours = job is not None and owned.is_owned(job, facts.planned.restore_uid)
            return "" if kept and ours else f"pod {name} is not one of this Restore that has done its work"
    return ""


def settle(facts: RestoreFacts) -> Merge | None:
    """The word on the restored volume that this Restore is over; None where it is there, or has no volume to be on."""
    plan = facts.planned
    volume = facts.volumes.get(plan.new_volume.name) if plan.new_volume else None
    if volume is None or _noted(volume, names.ANNOTATION_SETTLED_BY) == plan.restore_uid:
        return None
    name = volume["metadata"]["name"]
    body = {"metadata": {"annotations": {names.ANNOTATION_SETTLED_BY: plan.restore_uid}}}
    return None if _volume(facts, name) else Merge("persistentvolumes", "", name, body)


def is_settled(facts: RestoreFacts) -> bool:
    """Whether a Restore that is gone has nothing to undo: its mark has come back (`kubectl rollout undo`, a dump).

    The restored volume says so; or it is gone, and the claim is bound to another one, with nothing left half way.
    """
    plan = facts.planned
    if not plan.in_place or plan.new_volume is None:
        return False
    volume = facts.volumes.get(plan.new_volume.name)
    if volume is not None:
        return _noted(volume, names.ANNOTATION_SETTLED_BY) == plan.restore_uid
    claim, found = facts.claims.get(plan.claim), facts.workload(plan.workload, plan.workload_kind)
    if claim is None or claim.get("status", {}).get("phase") != "Bound" or plan.new_claim in facts.claims:
        return False
    holds = claim["spec"].get("volumeName")
    if plan.old_volume and holds == plan.old_volume.name:  # a stopped one may be waiting for us to start it
        return found is not None and is_started(plan, found)
    return bool(holds != plan.new_volume.name)


def _volume(facts: RestoreFacts, name: str) -> str:
    volume = facts.volumes.get(name)
    if volume is None:
        return f"PersistentVolume {name} does not exist"
    reference = volume["spec"].get("claimRef") or {}
    namespace, claim = reference.get("namespace"), reference.get("name")
    if namespace == facts.namespace and claim in plans.claims(facts.planned):
        return ""
    whose = "of another namespace" if namespace else "empty"  # whose there, is not told here
    whose = f"claim {claim}" if namespace == facts.namespace else whose
    return f"PersistentVolume {name} does not belong to this Restore's claims: its spec.claimRef is {whose}"


def _claim_made(facts: RestoreFacts, body: Object) -> str:
    name, volume = body["metadata"]["name"], body["spec"].get("volumeName", "")
    if body["metadata"]["namespace"] != facts.namespace or name not in plans.claims(facts.planned):
        return f"claim {name} does not belong to this Restore"
    return _volume(facts, volume) if volume else ""


def _claim(facts: RestoreFacts, namespace: str, name: str, uid: str) -> str:
    found = facts.claims.get(name)
    right = namespace == facts.namespace and name in plans.claims(facts.planned)
    return (
        "" if right and found and found["metadata"]["uid"] == uid else f"claim {name} does not belong to this Restore"
    )


def _claim_is_ours(facts: RestoreFacts, name: str) -> str:
    plan, claim = facts.planned, facts.claims[name]
    ours = (
        is_in_between(plan.restore, claim)
        or is_kept(plan, claim)
        or is_marked(plan, claim)
        or (name == plan.claim and plan.in_place and _is_the_workloads(facts, plan, claim))
    )
    return "" if ours else f"there is a claim {name} that this Restore did not create"


def _is_the_workloads(facts: RestoreFacts, plan: Plan, claim: Object) -> bool:
    """The claim that was there; one on a volume of this Restore's (be it lost); or one that the workload has got."""
    if claim["metadata"]["uid"] == plan.claim_uid:
        return True
    volumes = {volume.name for volume in (plan.old_volume, plan.new_volume) if volume}
    holds = claim["spec"].get("volumeName", "")
    if holds in volumes and (holds not in facts.volumes or not _volume(facts, holds)):
        return True
    workload = facts.workload(plan.workload, plan.workload_kind)
    return workload is not None and uses(workload, plan.claim)


def is_marked(plan: Plan, claim: Object) -> bool:
    """Whether this very Restore has made *claim*."""
    return bool(_noted(claim, names.ANNOTATION_RESTORE_UID) == plan.restore_uid)


def is_in_between(restore: str, claim: Object) -> bool:
    """A claim that stands only until the swap, of this Restore or of an earlier one of its name."""
    wanted = {names.LABEL_RESTORE: restore, names.LABEL_COMPONENT: render.IN_BETWEEN}
    labelled = wanted.items() <= (claim["metadata"].get("labels") or {}).items()
    return labelled and bool(_noted(claim, names.ANNOTATION_RESTORE_UID))


def is_kept(plan: Plan, claim: Object) -> bool:
    """A claim under which this Restore has kept a volume. Version 0.1 did not write its uid on it."""
    labelled = (claim["metadata"].get("labels") or {}).get(names.LABEL_KEPT_BY) == plan.restore
    volumes = {volume.name for volume in (plan.old_volume, plan.new_volume) if volume}
    made_by = _noted(claim, names.ANNOTATION_RESTORE_UID)
    return labelled and (made_by == plan.restore_uid or (not made_by and claim["spec"].get("volumeName") in volumes))


def _noted(obj: Object, annotation: str) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(annotation, ""))


def _workload(facts: RestoreFacts, plural: str, namespace: str, name: str, uid: str) -> str:
    plan = facts.planned
    if plan.in_place and (plural, namespace, name) == (PLURALS[plan.workload_kind], facts.namespace, plan.workload):
        found = facts.workload(plan.workload, plan.workload_kind)
        if found is not None and found["metadata"]["uid"] == uid:
            return ""
    return f"{plural} {name} is not the workload that this Restore was planned for ({title(plan)})"


def _is_among(listed: tuple[Object, ...], uid: str) -> bool:
    """Of the PostgresCluster's that were read: by their owner, as gather has seen to."""
    return any(one["metadata"]["uid"] == uid for one in listed)


def _versioned(facts: RestoreFacts, action: Action) -> Action:
    match action:
        case Merge("persistentvolumes", _, name, body):
            seen = facts.volumes[name]["metadata"]
            version = {key: seen[key] for key in ("uid", "resourceVersion") if key in seen}
            return replace(action, body=body | {"metadata": body.get("metadata", {}) | version})
    return action
