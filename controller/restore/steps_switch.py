"""The steps that take PostgreSQL from the old volume to the new one: Stopped, Swapped. Pure."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from controller.pods import has_ended, is_over
from controller.recovery import target
from controller.recovery.plan import Plan, Volume
from controller.restore import cluster_members, render, steps_recover, volume_swap, workload
from controller.restore.facts import RestoreFacts, claims_of, pod_ip, pods_of, without
from controller.restore.verdict import SOON, Ask, Delete, Dismiss, StepVerdict, act, done, fail, wait
from controller.runtime import conditions
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going
from pgwarden.contract import calls

CHECKPOINT_SECONDS = 60
SCALED_UP = "ScaledUp"
#: How it is told that the workload is scaled to 0 and its pods end.
_ENDING = "waiting for pod "


def stopped(facts: RestoreFacts) -> StepVerdict:
    plan = facts.planned
    found = facts.workload(plan.workload, plan.workload_kind)
    if found is not None and not workload.is_stopped(plan, found):
        job = None if plan.recovered is None else _job_gone(facts, plan)
        changed = _changed(facts, plan) or _out_of_reach(facts, plan) or steps_recover.broken(facts) or job
        if changed:
            return changed
        if not workload.is_marked(plan, found):
            return act(workload.mark(plan, found), "Stopping", f"recording on {workload.title(plan)} how to roll back")
        held = cluster_members.hold(facts, facts.members, plan) if facts.members else None
        if held:
            return held
        # Before anything stops: a StatefulSet may delete the claims of the pods that it scales away.
        change = volume_swap.protect([v for v in (plan.old_volume, plan.new_volume) if v], facts.volumes)
        if change and change.action:
            return act(change.action, "Protecting", change.message)
        flushed = _checkpoint(facts)
        if flushed:
            return flushed
    held = hold(facts, plan)
    if held:
        ending = held.reason == "Stopping" and (held.kind == "wait" or isinstance(held.action, Dismiss))
        return (_ahead(facts, plan) if ending else None) or held
    at = conditions.timestamp(facts.now)
    text = f"{workload.title(plan)} is scaled to 0 and its pods have ended"
    return done("Stopped", text, plan=msgspec.structs.replace(plan, stopped=at), stoppedTime=at)


def _out_of_reach(facts: RestoreFacts, plan: Plan) -> StepVerdict | None:
    """A recovery that follows takes the old server's last WAL from the archive: PostgreSQL would be down meanwhile."""
    if plan.recovered is not None:
        return None
    why = facts.info_error if not facts.info else target.without(facts.repo_spec, facts.stanza, plan.storage)
    return (
        wait("RepositoryNotReachable", f"not stopping PostgreSQL until its last WAL can be read: {why}")
        if why
        else None
    )


def _checkpoint(facts: RestoreFacts) -> StepVerdict | None:
    """Asked for right before PostgreSQL is stopped, which then has less to write. One that does not answer is stopped
    all the same.
    """
    pod = running_pod(facts)
    if pod is None or calls.CHECKPOINT in facts.answers:
        return None
    call = Ask(pod_ip(pod), calls.checkpoint(), CHECKPOINT_SECONDS)
    return act(call, "Stopping", _scaling(facts.planned))  # in the words of what follows: one change of the status


def _changed(facts: RestoreFacts, plan: Plan) -> StepVerdict | None:
    """Whether something has come in between since the plan was made. Nothing of the user's has been touched yet."""
    for volume, claim in ((plan.old_volume, plan.claim), (plan.new_volume, plan.new_claim)):
        if volume is plan.old_volume and _is_lost(facts, volume, claim):
            continue
        if volume is None or not volume_swap.is_bound(facts.claims.get(claim), facts.volumes.get(volume.name)):
            return fail("ClaimChanged", f"claim {claim} is no longer bound to volume {volume and volume.name}")
    if facts.claims[plan.claim]["metadata"]["uid"] != plan.claim_uid:
        return fail("ClaimChanged", f"claim {plan.claim} was replaced by another claim of that name")
    return None


def _is_lost(facts: RestoreFacts, volume: Volume | None, claim: str) -> bool:
    """Whether *claim* still names *volume*, which Kubernetes no longer has."""
    found = facts.claims.get(claim)
    if volume is None or not volume_swap.is_lost(found, facts.volumes.get(volume.name)):
        return False
    return found is not None and found["spec"].get("volumeName") == volume.name


def hold(facts: RestoreFacts, plan: Plan) -> StepVerdict | None:
    """Keep the workload at zero; None when it is, and nothing uses the claims any more. One that is gone is stopped."""
    found = facts.workload(plan.workload, plan.workload_kind)
    if found is not None and not workload.is_stopped(plan, found):
        reason, text = (SCALED_UP, _again(plan)) if _was_stopped(facts, plan) else ("Stopping", _scaling(plan))
        return act(workload.stop(plan, found), reason, text)
    ours = pods_of(facts.pods, plan.workload_kind, plan.workload)
    if ours:
        return _until_gone(facts, ours, f"waiting for {_names(ours)} to end")
    wanted = {plan.claim, plan.kept_claim}
    if plan.recovered is not None or plan.ending is not None:  # else the recovery on the new volume is still at work
        job = _job_gone(facts, plan)
        if job:
            return job
        wanted.add(plan.new_claim)
    users = [pod for pod in facts.pods if claims_of(pod) & wanted]
    if users:
        return wait("ClaimInUse", f"waiting for {_names(users)}, which use the claims; delete them if they do not end")
    return None


def _was_stopped(facts: RestoreFacts, plan: Plan) -> bool:
    """Whether the workload had been scaled to 0 already, at the look before this one or earlier."""
    said = str((facts.restore.get("status") or {}).get("message") or "")
    return bool(plan.stopped) or said.startswith(_ENDING)


def _again(plan: Plan) -> str:
    return (
        f"something has scaled {workload.title(plan)} up while this Restore keeps it at 0, as a GitOps tool or an "
        f"autoscaler does: suspend that until the Restore is over. Scaling it to 0 again"
    )


def _scaling(plan: Plan) -> str:
    return f"scaling {workload.title(plan)} to 0"


def _job_gone(facts: RestoreFacts, plan: Plan) -> StepVerdict | None:
    """The Job's pods hold the new claim, ended as they are. They go while PostgreSQL still runs."""
    job = facts.job
    if job is None:
        holding = [pod for pod in facts.job_pods if claims_of(pod) & {plan.new_claim}]
        return _until_gone(facts, holding, f"waiting for the Job's {_names(holding)} to end") if holding else None
    name, uid = job["metadata"]["name"], job["metadata"]["uid"]
    if is_going(job):
        return wait("Stopping", f"waiting for Job {name} to be deleted", again=SOON)
    return act(
        Delete("jobs", facts.namespace, name, uid), "Stopping", f"removing Job {name}, which holds the new claim"
    )


def _until_gone(facts: RestoreFacts, pods: list[Object], text: str) -> StepVerdict:
    """Kubernetes keeps a claim until no pod names it, and a StatefulSet its pod's name: a second of downtime that
    nothing is done in.
    """
    over = next((pod for pod in pods if is_over(pod) and pod["metadata"].get("deletionGracePeriodSeconds")), None)
    if over is None:  # or it was taken away already, and a finalizer keeps it
        return wait("Stopping", text, again=SOON)
    return act(Dismiss(facts.namespace, over["metadata"]["name"], over["metadata"]["uid"]), "Stopping", text)


def _names(pods: list[Object]) -> str:
    return " and ".join(f"pod {pod['metadata']['name']}" for pod in pods[:3])


# --- Swapped -----------------------------------------------------------------------------------------------------


def swapped(facts: RestoreFacts) -> StepVerdict:
    plan = facts.planned
    if plan.old_volume is None or plan.new_volume is None:
        return wait("PlanUnreadable", "status.plan does not say which two volumes are to be swapped; restore again")
    new, old = plan.new_volume.name, plan.old_volume.name
    if new not in facts.volumes:
        return fail("VolumeGone", f"PersistentVolume {new}, which was restored into, was deleted")
    held = hold(facts, plan) or (cluster_members.release(facts, facts.members) if facts.members else None)
    if held:
        return held
    goal = switched(plan, facts.namespace)
    verdict = None if volume_swap.is_reached(goal, facts.claims, facts.volumes) else step(goal, facts)
    if verdict:
        return verdict
    if old not in facts.volumes:
        text = f"claim {plan.claim} has the restored volume; PersistentVolume {old}, the old one, was deleted"
        return done("Swapped", text, keptClaim=None)
    text = f"claim {plan.claim} has the restored volume, {new}; the old one, {old}, is kept for claim {plan.kept_claim}"
    return done("Swapped", text, keptClaim=plan.kept_claim)


def keep(facts: RestoreFacts, plan: Plan) -> StepVerdict | None:
    """What PostgreSQL's start does not wait for: the old volume's own claim, the reclaim policies of both."""
    if plan.old_volume is None or plan.new_volume is None:
        return None
    whole = there(forward(plan, facts.namespace), facts)
    if volume_swap.is_reached(whole, facts.claims, facts.volumes):
        return step(whole, facts)
    old = {name: one for name, one in whole.bind.items() if name == plan.kept_claim}
    goal = volume_swap.Goal(facts.namespace, old, frozenset())
    return None if volume_swap.is_reached(goal, facts.claims, facts.volumes) else step(goal, facts)


def switched(plan: Plan, namespace: str) -> volume_swap.Goal:
    """What PostgreSQL needs for its start: the user's claim on the new volume."""
    _, new = _volumes(plan)
    body = render.user_claim(plan, namespace, new.name)
    return volume_swap.Goal(namespace, {plan.claim: (body, new)}, frozenset({plan.new_claim}))


def forward(plan: Plan, namespace: str) -> volume_swap.Goal:
    """The user's claim on the new volume, the kept claim on the old one."""
    old, new = _volumes(plan)
    bind = {
        plan.kept_claim: (render.kept_claim(plan, namespace, old.name), old),
        plan.claim: (render.user_claim(plan, namespace, new.name), new),
    }
    return volume_swap.Goal(namespace, bind, frozenset({plan.new_claim}))


def backward(plan: Plan, namespace: str) -> volume_swap.Goal:
    """The user's claim on the old volume again, what was restored under a name that says so."""
    old, new = _volumes(plan)
    bind = {
        plan.claim: (render.user_claim(plan, namespace, old.name), old),
        plan.failed_claim: (render.failed_claim(plan, namespace, new.name), new),
    }
    return volume_swap.Goal(namespace, bind, frozenset({plan.new_claim, plan.kept_claim}))


def there(goal: volume_swap.Goal, facts: RestoreFacts) -> volume_swap.Goal:
    """*goal* without the volumes that are gone: nobody waits for them while PostgreSQL is down."""
    return replace(goal, bind={name: one for name, one in goal.bind.items() if one[1].name in facts.volumes})


def _ahead(facts: RestoreFacts, plan: Plan) -> StepVerdict | None:
    """What of the swap can be done while the pods end. A recovery that follows still uses the new claim then."""
    if plan.recovered is None or plan.new_volume is None or plan.new_volume.name not in facts.volumes:
        return None
    change = volume_swap.ahead(switched(plan, facts.namespace), facts.claims, facts.volumes)
    return act(change.action, "Stopping", change.message) if change and change.action else None


def step(goal: volume_swap.Goal, facts: RestoreFacts) -> StepVerdict | None:
    change = volume_swap.next_change(goal, facts.claims, facts.volumes, facts.now)
    if change is None:
        return None
    if change.action is None:
        return wait("Swapping", change.message, again=SOON)
    return act(change.action, "Swapping", change.message)


def _volumes(plan: Plan) -> tuple[Volume, Volume]:
    if plan.old_volume is None or plan.new_volume is None:
        raise ValueError("volumes can be swapped only when both are known")
    return plan.old_volume, plan.new_volume


def running_pod(facts: RestoreFacts) -> Object | None:
    plan = facts.planned
    pods = without(pods_of(facts.pods, plan.workload_kind, plan.workload), facts.strangers)
    alive = [pod for pod in pods if not is_going(pod) and not has_ended(pod) and pod_ip(pod)]
    return alive[0] if alive else None
