"""The steps of the recovery, in a new volume and a Job of its own: Restored, Replayed, Recovered. Pure.

Until Stopped, PostgreSQL serves; a recovery that fails has cost it nothing. To the latest state the recovery follows
the archive through Stopped, and ends when the old server's last WAL is there.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec

from controller import jobs, owned
from controller.pods import has_ended
from controller.recovery import job as recovery_job
from controller.recovery import progress
from controller.recovery.plan import Plan, Recovered, Volume
from controller.recovery.progress import Progress, Stage
from controller.restore import render, volume_swap
from controller.restore.facts import RestoreFacts, pod_ip
from controller.restore.verdict import POLL, SOON, Ask, Create, Delete, StepVerdict, act, done, fail, wait
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going
from pgwarden.contract import calls

FINISH_SECONDS = 15
_FINISHING = "the old PostgreSQL has stopped: its last WAL is replayed"


def restored(facts: RestoreFacts) -> StepVerdict:
    """The backup set is copied."""
    found = _seen(facts)
    if isinstance(found, StepVerdict):
        return found
    plan, claim = facts.planned, facts.claims[facts.planned.new_claim]
    volume = facts.volumes.get(claim["spec"].get("volumeName", ""))
    bound, failed = volume_swap.is_bound(claim, volume), found.stage is Stage.FAILED
    if failed and not (bound and found.result and found.result.copied):
        return _failed(facts, found)
    if found.stage is Stage.COPYING:
        return _still(facts, found) or wait(found.reason, found.message, again=POLL, **_said(facts, found))
    if volume is None or not bound:
        return wait("ClaimNotBound", f"claim {plan.new_claim} is not bound to its volume yet")
    name = volume["metadata"]["name"]
    plan = msgspec.structs.replace(plan, new_volume=Volume(name=name, reclaim=volume_swap.policy(volume)))
    text = f"backup set {found.set or 'unknown'} is on volume {name}"
    status = {} if failed else _said(facts, found)  # the next step says how it failed
    return done("Restored", text, plan=plan, newVolume=name, **status)


def replayed(facts: RestoreFacts) -> StepVerdict:
    """All WAL up to the target is replayed; to the latest state, all that is archived so far."""
    found = _look(facts)
    if isinstance(found, StepVerdict):
        return found
    if found.stage is Stage.FOLLOWING:
        return done(
            found.reason, f"{found.message}; it follows the archive until PostgreSQL stops", **_said(facts, found)
        )
    if found.stage is Stage.ENDED:
        return _ended(facts, found, "Replayed")
    return _still(facts, found) or wait(found.reason, found.message, again=POLL, **_said(facts, found))


def broken(facts: RestoreFacts) -> StepVerdict | None:
    """Why PostgreSQL must not be stopped: the recovery that followed its WAL has failed since, or begins anew, as after
    the loss of its pod. It would be down meanwhile. None: it may be stopped.
    """
    if facts.planned.recovered is not None:
        return None
    found = _look(facts)
    if isinstance(found, StepVerdict):
        return found
    if found.stage is Stage.ENDED:
        text = (
            "the recovery ended before PostgreSQL had stopped, and lacks what was written since; create another Restore"
        )
        return fail("RecoveryEnded", text)
    if found.stage is Stage.FOLLOWING:
        return None
    text = f"not stopping PostgreSQL until the recovery follows it again: {found.message}"
    return _still(facts, found) or wait(found.reason, text, again=POLL, **_said(facts, found))


def recovered(facts: RestoreFacts) -> StepVerdict:
    """PostgreSQL has ended the recovery on the new volume: promoted, on a timeline of its own, and shut down."""
    plan = facts.planned
    if plan.recovered is not None:
        return _end_job(facts, plan) or _recovered(plan, plan.recovered)
    found = _look(facts)
    if isinstance(found, StepVerdict):
        return found
    if found.stage is Stage.ENDED:
        return _ended(facts, found, "Recovered")
    if found.stage is Stage.FOLLOWING and facts.answers.get(calls.RECOVERY_FINISH) is None:
        pod = _pod(facts)
        if pod is not None:
            call = Ask(pod_ip(pod), calls.recovery_finish(), FINISH_SECONDS)
            return act(call, "Finishing", _FINISHING)
    if found.stage is Stage.FOLLOWING:  # told to finish, and not there yet
        error = getattr(facts.answers.get(calls.RECOVERY_FINISH), "error", "")
        said = f"{_FINISHING}; it could not be told to finish: {error}" if error else _FINISHING
        late = _still(facts, replace(found, message=said, still=facts.since("Stopped")))
        return late or wait("Finishing", said, again=SOON)
    return _still(facts, found) or wait(found.reason, found.message, again=SOON, **_said(facts, found))


def _look(facts: RestoreFacts) -> Progress | StepVerdict:
    """How far it is; or what has to be done or said first, also that it has failed."""
    found = _seen(facts)
    return _failed(facts, found) if isinstance(found, Progress) and found.stage is Stage.FAILED else found


def _failed(facts: RestoreFacts, found: Progress) -> StepVerdict:
    kept = progress.left((facts.restore.get("status") or {}).get("recovery"), found.result)
    return fail(found.reason, found.message, job=names.restore_job(facts.planned.restore), recovery=kept)


def _seen(facts: RestoreFacts) -> Progress | StepVerdict:
    """How far it is, or that it has failed; or what has to be done or said first."""
    plan, job, name = facts.planned, facts.job, names.restore_job(facts.planned.restore)
    claim = facts.claims.get(plan.new_claim)
    if claim is None or (is_going(claim) and not plan.stopped):  # while PostgreSQL is down, its volume may still do
        return fail("ClaimGone", f"claim {plan.new_claim}, the target of this restore, was deleted")
    if not plan.image:
        text = (
            "an earlier version of pgwarden has begun this Restore; delete it, and create it again: it is rolled back"
        )
        return wait("PlanOfEarlierVersion", f"{text}, unless PostgreSQL takes writes on the restored volume already")
    if job is None:
        return act(Create("jobs", _body(facts)), "Starting", f"starting Job {name}", job=name)
    if is_going(job) or not owned.is_owned(job, facts.restore["metadata"]["uid"]):
        return wait("JobGoing", f"waiting for an earlier Job {name} to be deleted")
    if facts.job_refused and recovery_job.is_resized(job, body := _body(facts)):
        return act(Delete("jobs", facts.namespace, name, job["metadata"]["uid"]), "Starting", _resized(body))
    found = progress.judge(progress.Seen(job, facts.job_pods, facts.recovery, facts.job_refused), facts.now)
    if found.kept is not None:
        metadata = found.kept["metadata"]
        return act(Delete("pods", facts.namespace, metadata["name"], metadata["uid"]), found.reason, found.message)
    return found


def _body(facts: RestoreFacts) -> Object:
    order = render.order(facts.restore, facts.planned, facts.spec, facts.repo_spec, facts.asks)
    return recovery_job.job(order, facts.settings)


def _resized(job: Object) -> str:
    return f"Job {job['metadata']['name']} is created anew with the limits that its namespace asks for by now"


def _pod(facts: RestoreFacts) -> Object | None:
    return next((pod for pod in facts.job_pods if pod_ip(pod) and not has_ended(pod) and not is_going(pod)), None)


def _still(facts: RestoreFacts, found: Progress) -> StepVerdict | None:
    """It is given up once it has not advanced for so long; nothing was touched. The limit may be changed meanwhile."""
    limit = timedelta(seconds=facts.spec.recovery_timeout_seconds)
    if found.still < limit:
        return None
    text = f"{found.message}; the limit is {limit.total_seconds():g} s (spec.recoveryTimeoutSeconds)"
    return fail("RecoveryTimeout", text)


def _said(facts: RestoreFacts, found: Progress) -> dict[str, Any]:
    said: dict[str, Any] = {"job": names.restore_job(facts.planned.restore), "recovery": progress.shown(facts.recovery)}
    return said | ({"set": found.set} if found.set else {})


def _ended(facts: RestoreFacts, found: Progress, step: str) -> StepVerdict:
    result = found.result
    if result is None or not result.timeline:
        text = (
            f"Job {names.restore_job(facts.planned.restore)} is complete, but its pod is gone, and with it how it ended"
        )
        return fail("ResultLost", f"{text}; create another Restore")
    end = Recovered(
        timeline=result.timeline,
        reached=result.reached,
        segment=result.segment,
        segments=result.segments,
        copy_seconds=result.copy_seconds,
        replay_seconds=result.replay_seconds,
        system_identifier=result.system_identifier,
        note=result.note,
    )
    plan = msgspec.structs.replace(facts.planned, recovered=end)
    verdict = _recovered(plan, end)
    said = dict(verdict.status) | {"recovery": None} | ({"set": result.set} if result.set else {})
    return done(step, verdict.message, plan=plan, **said)


def _end_job(facts: RestoreFacts, plan: Plan) -> StepVerdict | None:
    """Into a claim of its own: something that is not ours keeps the Job's pod, and that the claim. In place the Job
    goes before the swap.
    """
    job = facts.job
    if plan.in_place or job is None or is_going(job) or jobs.finished(job):
        return None
    if not any(jobs.is_kept(job, pod, facts.now) for pod in facts.job_pods):
        return None
    name, uid = job["metadata"]["name"], job["metadata"]["uid"]
    return act(Delete("jobs", facts.namespace, name, uid), "Removing", f"removing Job {name}, which has done its work")


def _recovered(plan: Plan, end: Recovered) -> StepVerdict:
    reached = end.reached or "the end of the backup set"
    text = f"PostgreSQL recovered to {reached} on volume {plan.new_volume and plan.new_volume.name}"
    text += f" and is on timeline {end.timeline}" + (f"; {end.note}" if end.note else "")
    return done("Recovered", text, timeline=end.timeline, recoveredTo=reached)
