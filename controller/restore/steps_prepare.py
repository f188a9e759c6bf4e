"""The steps before anything is copied: Validated, Fenced, VolumeReady. Pure."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import msgspec

from controller import operations, pods
from controller.recovery import set_version, target
from controller.recovery.hindrance import Hindrance
from controller.recovery.plan import Plan
from controller.restore import earlier_runs, elsewhere, foretold, planning, proof, render, undone, workload
from controller.restore.facts import RestoreFacts, pod_ip
from controller.restore.verdict import (
    ARCHIVED_ONLY,
    POLL,
    SLOW,
    Ask,
    Create,
    Delete,
    StepVerdict,
    act,
    done,
    fail,
    hindered,
    not_needed,
    settled,
    wait,
)
from pgwarden.api import names
from pgwarden.api import target as forms
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going
from pgwarden.contract import calls
from pgwarden.rules import wal_gaps

FENCE_SECONDS = 60


def validated(facts: RestoreFacts) -> StepVerdict:
    if not operations.may_run(facts.restore, facts.operations):
        other, more = operations.standing(facts.restore, facts.operations)
        return wait("Waiting", f"waiting for {other} of the same Repository to finish{more}", again=SLOW)
    if facts.repository is None or is_going(facts.repository):
        return wait("NoRepository", f"there is no Repository {facts.spec.repository}", again=SLOW)
    if facts.info is None and not facts.info_error:
        return wait("NoInfo", "the repository host has not responded yet")
    if facts.info is None:
        return wait("RepositoryNotReachable", f"the backups cannot be listed: {facts.info_error}")
    unclear = earlier_runs.undecided(facts)
    if unclear:
        return wait("DatabaseUnknown", unclear)
    info = facts.stanza
    undoing = undone.resolve(facts, info) if info else None
    if isinstance(undoing, Hindrance):
        return hindered(undoing)
    facts = undone.resolved(facts, undoing)
    storage = target.storage(facts.spec, facts.repo_spec, info, facts.now)
    if isinstance(storage, Hindrance):
        return hindered(storage)
    problem = target.too_small(msgspec.structs.replace(facts.spec, storage=storage), facts.repo_spec, info)
    if problem:
        return hindered(problem)
    behind = _behind_a_gap(facts)
    if behind:
        return fail("WALMissing", behind)
    before = _taken_back(facts)
    if before:
        return fail("TimeTakenBack", before)
    if facts.missing_class:
        text = f"spec.newVolume.storageClassName: there is no StorageClass {facts.missing_class}"
        return wait(
            "NoStorageClass", f"{text}; create it, or create another Restore that names one that exists", again=SLOW
        )
    plan = planning.make(facts)
    if isinstance(plan, StepVerdict):
        return plan
    newest = undone.newest_timeline(info) if info and plan.in_place else None
    plan = msgspec.structs.replace(plan, storage=storage, undone=undoing, timeline_before=newest or 0)
    other_version = _other_version(facts, plan)
    if other_version:
        return hindered(other_version)
    where = f"claim {plan.claim} of {workload.title(plan)}" if plan.in_place else f"a new claim {plan.new_claim}"
    wanted = undone.title(undoing) if undoing else _wanted(facts)
    text = f"restoring {wanted} into {where}"
    if storage:
        others = " and ".join(f"storage {name}" for name in target.away(facts.repo_spec, info))
        text += f", from storage {storage}" + (f"; {others} cannot be read" if others else "")
    text += f" as of {facts.spec.repo_target_time}" if facts.spec.repo_target_time else ""
    told: dict[str, object] = {"timelineBefore": newest} if newest else {}
    told |= foretold.status(facts, plan, info) if info else {}
    return done("Valid", text, plan=plan, **_names(plan), **told)


def _behind_a_gap(facts: RestoreFacts) -> str:
    spec = facts.spec
    if spec.repo_target_time:  # the gaps of today
        return ""
    target = msgspec.to_builtins(spec.target) if spec.target else None
    asked = wal_gaps.Wanted(storage=spec.storage, set=spec.set, timeline=spec.target_timeline, target=target)
    problem = wal_gaps.problem(facts.repository, asked)
    return f"{_wanted(facts)} {problem}" if problem else ""


def _taken_back(facts: RestoreFacts) -> str:
    """A Restore before whose turn another one went. It may have ended a moment ago: the rules go by a cache."""
    problem = target.taken_back(facts.spec, (one for one in facts.operations if one["kind"] == "Restore"))
    return f"{_wanted(facts)} {problem}" if problem else ""


def _other_version(facts: RestoreFacts, plan: Plan) -> Hindrance | None:
    """Why the workload's PostgreSQL, where one serves now, could not start on what is restored in its place."""
    status = (facts.repository or {}).get("status", {})
    if facts.spec.image or not status.get("primary"):
        return None
    spec = msgspec.structs.replace(facts.spec, storage=plan.storage)
    version = status.get("postgresVersion")
    who = workload.title(plan) if plan.in_place else f"pod {plan.pod}"
    return set_version.other(spec, facts.repo_spec, facts.stanza, version, who)


def _wanted(facts: RestoreFacts) -> str:
    wanted = facts.spec.target
    if wanted is None:
        return "the latest state"
    if wanted.immediate:
        return "the state at the end of the backup"
    values = {"time": wanted.time, "LSN": wanted.lsn, "transaction": wanted.xid, "point": wanted.name}
    for kind, value in values.items():
        if value:
            return f"the state at {kind} {value}"
    return "the latest state"


def _names(plan: Plan) -> dict[str, object]:
    if not plan.in_place:
        return {"newClaim": plan.new_claim}
    return {
        "workload": {"kind": plan.workload_kind, "name": plan.workload, "replicas": plan.replicas},
        "claim": plan.claim,
        "newClaim": plan.new_claim,
        "oldVolume": plan.old_volume.name if plan.old_volume else None,
    }


# --- Fenced ------------------------------------------------------------------------------------------------------


def fenced(facts: RestoreFacts) -> StepVerdict:
    """A target up to now is reachable only when a later transaction has been archived: one is made and waited for."""
    if facts.spec.target is not None and facts.spec.target.immediate:
        return elsewhere.refusal(facts, None) or not_needed(
            "not needed: the target is the end of a backup, which is archived"
        )
    if facts.spec.repo_target_time:
        return elsewhere.refusal(facts, None) or _of_then(facts)
    answer = facts.fenced
    if answer is None:
        pod = _primary(facts)
        if pod is None or not pod_ip(pod) or pods.has_ended(pod):
            why = "no PostgreSQL pod is running"
            return elsewhere.refusal(facts, None) or _coming_back(facts, why) or _archived_only(facts, why, runs=False)
        return _ask(facts, pod)
    refused = elsewhere.refusal(facts, answer)
    if refused:
        return refused
    silent = not answer.ok and not answer.unreached and answer.tablespaces is None  # the agent itself, that is
    if silent and (waits := _coming_back(facts, answer.error or "")):
        return waits
    plan = msgspec.structs.replace(facts.planned, tablespaces=elsewhere.folders(facts, answer))
    if answer.ok:
        ahead = target.beyond(facts.spec, answer.lsn or "")
        if ahead:
            return hindered(ahead)
        text = f"all up to {answer.time} is archived (segment {answer.wal})"
        plan, told = undone.marked(plan, answer)
        return done("Archived", text, plan=plan, **told)
    if answer.last:
        text = f"PostgreSQL does not run ({answer.error}); all that it wrote is archived, up to segment {answer.last}"
        return done("Archived", text, plan=plan)
    return _archived_only(facts, answer.error or "", runs=not answer.unreached)


def _of_then(facts: RestoreFacts) -> StepVerdict:
    """What is archived now is not read. Which folders the WAL of then asks for, is known as the server has them now."""
    plan = msgspec.structs.replace(facts.planned, tablespaces=elsewhere.folders(facts, None))
    text = f"not needed: the storage is read as of {facts.spec.repo_target_time}"
    return dataclasses.replace(not_needed(text), plan=plan)


def _coming_back(facts: RestoreFacts, why: str) -> StepVerdict | None:
    """A pod that was killed, or that moves to another node, is replaced in a moment, and what PostgreSQL had not
    archived is on its volume. None: nobody is to come, or the time is over.
    """
    plan = facts.planned
    found = facts.workload(plan.workload, plan.workload_kind) if plan.in_place else None
    expected = bool(facts.labelled_pods()) or (found is not None and workload.replicas(found) > 0)
    since = facts.since("Validated")
    if not expected or since >= timedelta(seconds=FENCE_SECONDS):
        return None
    until = forms.rfc3339(facts.now + timedelta(seconds=FENCE_SECONDS) - since)
    return wait(
        "Fencing", f"{why}; after {until} ({FENCE_SECONDS} s) the restore continues with what is archived", again=POLL
    )


def _ask(facts: RestoreFacts, pod: Object) -> StepVerdict:
    """Into the storage that is restored from: another one that is away holds nobody up."""
    storage = render.storage(facts.planned, facts.spec)
    repo = facts.repo_spec.repo_number(storage) if storage else 0
    call = Ask(pod_ip(pod), calls.fence(FENCE_SECONDS, repo=repo), FENCE_SECONDS + 15)
    until = forms.rfc3339(facts.now + timedelta(seconds=FENCE_SECONDS))
    text = f"asking PostgreSQL in pod {pod['metadata']['name']} to archive all its WAL"
    text += f" into storage {storage}" if storage else ""
    text += f"; after {until} ({FENCE_SECONDS} s) the restore continues with what is archived"
    return act(call, "Fencing", text)


def _primary(facts: RestoreFacts) -> Object | None:
    primary = (facts.repository or {}).get("status", {}).get("primary") or facts.planned.pod
    by_name = {pod["metadata"]["name"]: pod for pod in facts.labelled_pods()}
    return by_name.get(primary) or by_name.get(facts.planned.pod)


def _archived_only(facts: RestoreFacts, why: str, *, runs: bool) -> StepVerdict:
    """Of one that runs, what is not archived may have been committed before the target: it is not left out."""
    asked = facts.spec  # where all can be read, recovery finds in the others what the chosen one lacks
    if target.away(facts.repo_spec, facts.stanza):
        asked = msgspec.structs.replace(asked, storage=render.storage(facts.planned, asked))
    latest = target.archived_until(facts.repository, asked)
    until = f" (up to {forms.rfc3339(latest)} as far as is known)" if latest else ""
    moment = target.wanted_time(facts.spec)
    if runs and moment is not None and latest is not None and moment > latest:
        return fail(
            "TargetNotReachable",
            f"spec.target.time: {forms.rfc3339(moment)} is not archived, and PostgreSQL could not archive it ({why}); "
            f"the latest reachable time is {forms.rfc3339(latest)}",
        )
    return settled(ARCHIVED_ONLY, f"PostgreSQL could not archive more ({why}): restoring from what is archived{until}")


# --- VolumeReady -------------------------------------------------------------------------------------------------


def volume_ready(facts: RestoreFacts) -> StepVerdict:
    plan, claim = facts.planned, facts.claims.get(facts.planned.new_claim)
    if claim is None:
        body = render.restored_claim(plan, facts.namespace)
        return act(Create("persistentvolumeclaims", body), "Creating", f"creating claim {plan.new_claim}")
    if is_going(claim):
        return wait("ClaimGoing", f"waiting for an earlier claim {plan.new_claim} to be deleted")
    if is_ours(facts, claim):
        return done("ClaimMade", f"claim {plan.new_claim} exists; its volume is provisioned with the Job's pod")
    if plan.in_place and proof.is_in_between(plan.restore, claim):
        return act(
            Delete("persistentvolumeclaims", facts.namespace, plan.new_claim, claim["metadata"]["uid"]),
            "Removing",
            f"claim {plan.new_claim} belongs to an earlier Restore of this name",
        )
    text = f"claim {plan.new_claim} already exists and is not touched; name a new one in spec.volumeClaim"
    return fail("ClaimExists", text)


def is_ours(facts: RestoreFacts, claim: Object) -> bool:
    """Whether this very Restore has made *claim*, and not an earlier one of its name."""
    made_by = claim["metadata"].get("annotations", {}).get(names.ANNOTATION_RESTORE_UID)
    return bool(made_by == facts.restore["metadata"]["uid"])
