"""The steps before anything of the user's is touched: Validated, Fenced, VolumeReady, Restored. Pure."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from controller import jobs, operations, owned, pods
from controller.recovery import target
from controller.recovery.exit_codes import HOPELESS
from controller.recovery.hindrance import Hindrance
from controller.recovery.plan import Plan, Volume
from controller.restore import elsewhere, planning, proof, render, volume_swap, workload
from controller.restore.facts import RestoreFacts, is_going, pod_ip
from controller.restore.verdict import (
    ARCHIVED_ONLY,
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
from pgwarden.contract import calls
from pgwarden.contract.job_result import JobResult
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
    info = facts.stanza
    storage = target.storage(facts.spec, facts.repo_spec, info, facts.now)
    if isinstance(storage, Hindrance):
        return hindered(storage)
    problem = target.too_small(msgspec.structs.replace(facts.spec, storage=storage), facts.repo_spec, info)
    if problem:
        return hindered(problem)
    behind = _behind_a_gap(facts)
    if behind:
        return fail("WALMissing", behind)
    plan = planning.make(facts)
    if isinstance(plan, StepVerdict):
        return plan
    plan = msgspec.structs.replace(plan, storage=storage)
    where = f"claim {plan.claim} of {workload.title(plan)}" if plan.in_place else f"a new claim {plan.new_claim}"
    text = f"restoring {_wanted(facts)} into {where}"
    if storage:
        others = " and ".join(f"storage {name}" for name in target.away(facts.repo_spec, info))
        text += f", from storage {storage}" + (f"; {others} cannot be read" if others else "")
    return done("Valid", text, plan=plan, **_names(plan))


def _behind_a_gap(facts: RestoreFacts) -> str:
    spec = facts.spec
    target = msgspec.to_builtins(spec.target) if spec.target else None
    asked = wal_gaps.Wanted(storage=spec.storage, set=spec.set, timeline=spec.target_timeline, target=target)
    problem = wal_gaps.problem(facts.repository, asked)
    return f"{_wanted(facts)} {problem}" if problem else ""


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
    answer = facts.fenced
    if answer is None:
        pod = _primary(facts)
        if pod is None or not pod_ip(pod) or pods.has_ended(pod):
            return elsewhere.refusal(facts, None) or _archived_only(facts, "no PostgreSQL pod is running")
        return _ask(facts, pod)
    refused = elsewhere.refusal(facts, answer)
    if refused:
        return refused
    plan = msgspec.structs.replace(facts.planned, tablespaces=elsewhere.folders(facts, answer))
    if answer.ok:
        ahead = target.beyond(facts.spec, answer.lsn or "")
        if ahead:
            return hindered(ahead)
        text = f"all up to {answer.time} is archived (segment {answer.wal})"
        return done("Archived", text, plan=plan)
    return _archived_only(facts, answer.error or "")


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


def _archived_only(facts: RestoreFacts, why: str) -> StepVerdict:
    asked = facts.spec  # where all can be read, recovery finds in the others what the chosen one lacks
    if target.away(facts.repo_spec, facts.stanza):
        asked = msgspec.structs.replace(asked, storage=render.storage(facts.planned, asked))
    latest = target.archived_until(facts.repository, asked)
    until = f" (up to {forms.rfc3339(latest)} as far as is known)" if latest else ""
    moment = target.wanted_time(facts.spec)
    if moment is not None and latest is not None and moment > latest:
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
    text = f"claim {plan.new_claim} already exists; name another in spec.volumeClaim, or delete it"
    return fail("ClaimExists", text)


def is_ours(facts: RestoreFacts, claim: Object) -> bool:
    """Whether this very Restore has made *claim*, and not an earlier one of its name."""
    made_by = claim["metadata"].get("annotations", {}).get(names.ANNOTATION_RESTORE_UID)
    return bool(made_by == facts.restore["metadata"]["uid"])


# --- Restored ----------------------------------------------------------------------------------------------------


def restored(facts: RestoreFacts) -> StepVerdict:
    plan, job = facts.planned, facts.job
    name = names.restore_job(plan.restore)
    if facts.claims.get(plan.new_claim) is None:
        return fail("ClaimGone", f"claim {plan.new_claim}, the target of this restore, was deleted")
    if job is None:
        body = render.job(facts.restore, plan, facts.spec, facts.repo_spec, facts.settings)
        return act(Create("jobs", body), "Starting", f"starting Job {name}", job=name)
    if is_going(job) or not owned.is_owned(job, facts.restore["metadata"]["uid"]):
        return wait("JobGoing", f"waiting for an earlier Job {name} to be deleted")
    result = jobs.result(facts.job_pods)
    hopeless = result is not None and not result.ok and result.exit_code in HOPELESS
    ended = jobs.finished(job)
    if ended == "Complete":
        return _restored(facts, result)
    if ended == "Failed" or hopeless:
        return fail("RestoreFailed", _failure(job, result), job=name)
    return _running(facts, job, result)


def _restored(facts: RestoreFacts, result: JobResult | None) -> StepVerdict:
    plan = facts.planned
    claim = facts.claims[plan.new_claim]
    volume = facts.volumes.get(claim["spec"].get("volumeName", ""))
    if volume is None or not volume_swap.is_bound(claim, volume):
        return wait("ClaimNotBound", f"the Job has finished, but claim {plan.new_claim} is not bound yet")
    name = volume["metadata"]["name"]
    label = (result and result.set) or None
    plan = msgspec.structs.replace(plan, new_volume=Volume(name=name, reclaim=volume_swap.policy(volume)))
    seconds = f" in {result.seconds:g} s" if result else ""
    text = f"backup set {label or 'unknown'} is on volume {name}{seconds}"
    return done("Restored", text, plan=plan, newVolume=name, set=label)


def _failure(job: Object, result: JobResult | None) -> str:
    said = result.error if result else ""
    why = jobs.failure(job) or "another attempt would fail in the same way"
    return f"{said} ({why})" if said else f"Job {job['metadata']['name']} failed: {why}"


def _running(facts: RestoreFacts, job: Object, result: JobResult | None) -> StepVerdict:
    name, status = job["metadata"]["name"], job.get("status", {})
    stuck = pods.waiting_reason(p for p in facts.job_pods if not pods.has_ended(p))
    if stuck:
        return wait("JobStuck", f"Job {name}: {stuck}", job=name)
    failed = int(status.get("failed") or 0)
    if failed:
        said = f": {result.error}" if result and result.error else ""
        text = f"Job {name} is on attempt {failed + 1} of {render.RETRIES + 1}; the last one failed{said}"
        return wait("Retrying", text, job=name)
    return wait("Running", f"Job {name} restores into claim {facts.planned.new_claim}", job=name)
