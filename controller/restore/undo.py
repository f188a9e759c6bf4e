"""The way back: a restore that failed, or that vanished, leaves the old data where it was. Pure, and asked until done.

Two ways. Where the claims still are as they were, what was made is removed (`give_up`). Where the swap has begun, it is
gone the other way, and the restored volume is kept under a name that says what it is (`put_back`).
"""

from __future__ import annotations

from controller import owned
from controller.recovery.plan import Plan
from controller.restore import cluster_members, proof, steps_prepare, steps_switch, volume_swap, workload
from controller.restore.facts import RestoreFacts
from controller.restore.verdict import SLOW, Delete, StepVerdict, act, done, wait
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going

#: The reason of an ending that no step decided: the Restore was deleted.
VANISHED = "Vanished"


def judge(facts: RestoreFacts) -> StepVerdict:
    """The next thing to do for `facts.plan`, or done: nothing of the restore is in the way any more."""
    return proof.gate(facts, _judge(facts))


def _judge(facts: RestoreFacts) -> StepVerdict:
    plan = facts.planned
    if (plan.ending is None or plan.ending.reason == VANISHED) and proof.is_settled(facts):
        holds = facts.claims.get(plan.claim, {}).get("spec", {}).get("volumeName")
        back = (
            f"claim {plan.claim} has the old volume again" if plan.old_volume and holds == plan.old_volume.name else ""
        )
        return _take_off(facts, plan, "Settled", back or "it had finished, and nothing is left to roll back")
    if not swap_has_begun(facts, plan):
        return give_up(facts, plan)
    return _recovered(facts, plan) or put_back(facts, plan)


def _recovered(facts: RestoreFacts, plan: Plan) -> StepVerdict | None:
    """A Restore that vanished when PostgreSQL took writes: the new timeline is archived, so nobody goes back."""
    found = facts.workload(plan.workload, plan.workload_kind)
    failed = plan.ending is not None and plan.ending.reason != VANISHED
    claim = facts.claims.get(plan.claim)
    restored = (
        claim is not None and plan.new_volume is not None and claim["spec"].get("volumeName") == plan.new_volume.name
    )
    if failed or not restored or found is None or not facts.postgres.takes_writes:
        return None
    # Taking it back may have begun: the volumes' reclaim policies are what it changes first.
    changed = steps_switch.step(steps_switch.forward(plan, facts.namespace), facts)
    if changed:
        return changed
    what = f"PostgreSQL has recovered on the restored volume; the old one is kept as claim {plan.kept_claim}"
    settling = proof.settle(facts)
    return act(settling, "Recovered", what) if settling else _take_off(facts, plan, "Kept", what)


def _take_off(facts: RestoreFacts, plan: Plan, reason: str, what: str) -> StepVerdict:
    """Only the mark goes."""
    found = facts.workload(plan.workload, plan.workload_kind)
    if found is None or not workload.is_marked(plan, found):
        return done(reason, what)
    return act(workload.unmark(plan, found), reason, what)


def swap_has_begun(facts: RestoreFacts, plan: Plan) -> bool:
    if not plan.in_place or plan.new_volume is None or plan.old_volume is None:
        return False
    claim = facts.claims.get(plan.claim)
    return claim is None or claim["metadata"]["uid"] != plan.claim_uid or is_going(claim)


def put_back(facts: RestoreFacts, plan: Plan) -> StepVerdict:
    goal = steps_switch.there(steps_switch.backward(plan, facts.namespace), facts)
    gone = [one.name for one in (plan.old_volume, plan.new_volume) if one and one.name not in facts.volumes]
    missing = f"PersistentVolume {' and '.join(gone)} was deleted"
    if plan.claim not in goal.bind:  # the old volume is gone: what was restored is all that there is
        goal = steps_switch.there(steps_switch.forward(plan, facts.namespace), facts)
    if not goal.bind:
        text = (
            f"{missing}: there is nothing to roll back to. Restore again with spec.volumeClaim into a claim of another "
            f"name, create claim {plan.claim} for that volume, scale {workload.title(plan)} to {plan.replicas}"
        )
        return wait("VolumeGone", text, again=SLOW)
    if volume_swap.next_change(goal, facts.claims, facts.volumes, facts.now) is not None:
        volumes = [volume for _, volume in goal.bind.values() if volume.name in facts.volumes]
        found = facts.workload(plan.workload, plan.workload_kind)
        there = volume_swap.is_reached(goal, facts.claims, facts.volumes)  # what is left then, nothing stops for
        if not there and found is not None and not workload.is_stopped(plan, found):
            change = volume_swap.protect(volumes, facts.volumes)
            if change and change.action:
                return act(change.action, "Protecting", change.message)
        verdict = (None if there else steps_switch.hold(facts, plan)) or steps_switch.step(goal, facts)
        if verdict:
            return verdict
    what = f"claim {plan.claim} has the old volume again; what was restored is kept as claim {plan.failed_claim}"
    if gone:
        which = "old" if plan.old_volume and plan.old_volume.name in facts.volumes else "restored"
        what = f"{missing}; claim {plan.claim} has the {which} one"
    left = volume_swap.left_at_retain([plan.old_volume, plan.new_volume], facts.volumes)
    return _start(facts, plan) or done("PutBack", what + left, keptClaim=None)


def give_up(facts: RestoreFacts, plan: Plan) -> StepVerdict:
    up = _up(facts, plan)
    if up:
        return up
    planned = [volume for volume in (plan.old_volume, plan.new_volume) if volume]
    change = volume_swap.give_policies_back(planned, facts.volumes)
    if change and change.action:
        return act(change.action, "Removing", change.message)
    if facts.job is not None and owned.is_owned(facts.job, plan.restore_uid) and not is_going(facts.job):
        name, uid = facts.job["metadata"]["name"], facts.job["metadata"]["uid"]
        return act(Delete("jobs", facts.namespace, name, uid), "Removing", f"removing Job {name}")
    claim = facts.claims.get(plan.new_claim)
    if claim is not None and _is_ours(facts, plan, claim) and not is_going(claim):
        delete = Delete("persistentvolumeclaims", facts.namespace, plan.new_claim, claim["metadata"]["uid"])
        return act(delete, "Removing", f"removing claim {plan.new_claim}, which was being restored into")
    left = volume_swap.left_at_retain([plan.old_volume], facts.volumes)
    return _start(facts, plan) or done("GivenUp", f"the old data was not changed{left}")


def _start(facts: RestoreFacts, plan: Plan) -> StepVerdict | None:
    """Scaled back where it is us who stopped it. Then that is noted for good, and the mark goes last."""
    found = facts.workload(plan.workload, plan.workload_kind) if plan.in_place else None
    if found is None or not workload.is_marked(plan, found):
        return None
    up = _up(facts, plan)
    if up:
        return up
    settling = proof.settle(facts)
    return act(settling or workload.unmark(plan, found), "Starting", f"{workload.title(plan)} is unchanged")


def _up(facts: RestoreFacts, plan: Plan) -> StepVerdict | None:
    """The workload that we stopped, scaled back; None where it is."""
    found = facts.workload(plan.workload, plan.workload_kind) if plan.in_place else None
    if found is None or not workload.is_marked(plan, found) or workload.is_started(plan, found):
        return None
    told = cluster_members.take_back(facts, facts.members) if facts.members else None
    return told or act(workload.start(plan, found), "Starting", f"scaling {workload.title(plan)} to {plan.replicas}")


def _is_ours(facts: RestoreFacts, plan: Plan, claim: Object) -> bool:
    """A claim that the user named may be the work of an earlier Restore of the same name: that one is theirs."""
    return proof.is_in_between(plan.restore, claim) if plan.in_place else steps_prepare.is_ours(facts, claim)
