"""From what is found to what is said (the status) and what is done next. Pure.

The steps run in order; one that has been dealt with (its condition says so) is not judged again; one pass judges one
step, from what was read for it, and while PostgreSQL is down the next ones too, where as much was read for them. The
status is written before anything is done, so that the plan is there first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from controller import jobs, operations, owned
from controller.recovery.plan import Ending, Plan
from controller.restore import proof, steps, undo, workload
from controller.restore.facts import RestoreFacts
from controller.restore.verdict import NOT_NEEDED, Action, StepVerdict, not_needed, wait
from controller.runtime import conditions
from pgwarden.api.objects import Object

ROLLED_BACK = "RolledBack"


@dataclass(frozen=True)
class RestoreDecision:
    status: Object
    action: Action | None = None
    again: float | None = None


def decide(facts: RestoreFacts) -> RestoreDecision:
    draft = _Draft(facts)
    if facts.plan is None and facts.restore.get("status", {}).get("plan"):
        return draft.wait(
            steps.current(facts.restore), wait("PlanUnreadable", "another version of pgwarden wrote status.plan")
        )
    if facts.plan is None:
        left = _left_by_another(facts)
        if left:
            return draft.wait("Validated", left)
    if facts.plan is not None and facts.plan.ending is not None:
        return _end(facts, draft, facts.plan, facts.plan.ending)
    read = steps.needs(facts.restore, facts.plan)
    for name, step in steps.STEPS.items():
        if steps.is_settled(draft.conditions, name):
            continue
        skipped = facts.plan is not None and not facts.plan.in_place and step.in_place
        verdict = (
            not_needed("not needed: spec.volumeClaim is restored into, and nothing else changes")
            if skipped
            else proof.gate(facts, step.judge(facts))
        )
        if verdict.kind == "fail":
            return draft.fail(name, verdict)
        if verdict.kind != "done":
            return draft.wait(name, verdict)
        draft.done(name, verdict)
        if not skipped and not steps.goes_on_at_once(name, read):
            return draft.go_on(name, verdict)
        facts = replace(facts, plan=draft.plan)
    return draft.completed()


def _left_by_another(facts: RestoreFacts) -> StepVerdict | None:
    """A Restore that does not exist any more has left the workload stopped: its doing is undone before ours begins."""
    if not operations.may_run(facts.restore, facts.operations):
        return None
    left = workload.stopped_by_vanished(facts)
    if left is None:
        return None
    verdict = undo.judge(replace(facts, plan=left))
    if verdict.kind == "done":
        return wait("UndoingEarlier", f"rolled back Restore {left.restore}", again=0.2)
    return replace(
        verdict,
        reason="UndoingEarlier",
        message=f"rolling back the deleted Restore {left.restore}: {verdict.message}",
        status={},
        plan=None,
    )


def _end(facts: RestoreFacts, draft: _Draft, plan: Plan, ending: Ending) -> RestoreDecision:
    verdict = undo.judge(facts)
    if verdict.kind != "done":
        return draft.ending(verdict, ending)
    return draft.failed(verdict, plan, ending)


class _Draft:
    """The status as it will be."""

    def __init__(self, facts: RestoreFacts) -> None:
        self._facts = facts
        self._generation = facts.restore["metadata"].get("generation", 1)
        before_now = facts.restore.get("status") or {}
        self.plan = facts.plan
        self.conditions: list[Object] = list(before_now.get("conditions", []))
        self._status: dict[str, Any] = dict(before_now) | {"observedGeneration": self._generation}
        if facts.job is not None and owned.is_owned(facts.job, facts.restore["metadata"]["uid"]):
            self._status["retries"] = jobs.retries(facts.job) or None

    def _put(self, kind: str, status: bool | None, reason: str, message: str) -> None:
        now, generation = self._facts.now, self._generation
        self.conditions = conditions.put(self.conditions, kind, status, reason, message, now=now, generation=generation)

    def _take(self, verdict: StepVerdict) -> None:
        self._status |= verdict.status
        if verdict.plan is not None:
            self.plan = verdict.plan

    def _now(self) -> str:
        return conditions.timestamp(self._facts.now)

    def _decision(self, action: Action | None = None, again: float | None = None, **fields: Any) -> RestoreDecision:
        self._status |= fields | {"conditions": self.conditions}
        if self.plan is not None:
            self._status |= {"plan": self.plan.dump(), "startTime": self._status.get("startTime") or self._now()}
        return RestoreDecision(self._status, action, again)

    def done(self, step: str, verdict: StepVerdict) -> None:
        self._take(verdict)
        self._put(step, not verdict.settled, verdict.reason, verdict.message)

    def go_on(self, step: str, verdict: StepVerdict) -> RestoreDecision:
        return self._decision(again=0.0, phase="Running", step=step, reason=verdict.reason, message=verdict.message)

    def wait(self, step: str, verdict: StepVerdict) -> RestoreDecision:
        self._take(verdict)
        self._put(step, None, verdict.reason, verdict.message)
        phase = "Running" if self.plan is not None else "Pending"
        return self._decision(
            verdict.action, verdict.again, phase=phase, step=step, reason=verdict.reason, message=verdict.message
        )

    def fail(self, step: str, verdict: StepVerdict) -> RestoreDecision:
        """Without a plan there is nothing to roll back; otherwise the rollback starts now."""
        self._take(verdict)
        self._put(step, False, verdict.reason, verdict.message)
        said: dict[str, Any] = {"step": step, "reason": verdict.reason, "message": verdict.message}
        if self.plan is None:
            return self._decision(phase="Failed", completionTime=self._now(), **said)
        ending = Ending(reason=verdict.reason, message=verdict.message, step=step)
        self.plan = msgspec.structs.replace(self.plan, ending=ending)
        return self._decision(again=0.0, phase="Running", **said)

    def ending(self, verdict: StepVerdict, ending: Ending) -> RestoreDecision:
        self._take(verdict)
        self._put(ROLLED_BACK, None, verdict.reason, verdict.message)
        message = f"{ending.message}. Rolling back: {verdict.message}"
        return self._decision(
            verdict.action, verdict.again, phase="Running", step=ending.step, reason=ending.reason, message=message
        )

    def failed(self, verdict: StepVerdict, plan: Plan, ending: Ending) -> RestoreDecision:
        self._take(verdict)
        self._put(ROLLED_BACK, True, verdict.reason, verdict.message)
        self.plan = plan
        message = f"{ending.message}. {verdict.message[0].upper()}{verdict.message[1:]}"
        return self._decision(
            phase="Failed", step=ending.step, reason=ending.reason, message=message, completionTime=self._now()
        )

    def completed(self) -> RestoreDecision:
        backed_up = conditions.find(self.conditions, "BackedUp")
        recovered, claim = self._status.get("recoveredTo"), self._status.get("newClaim")
        where = "" if self.plan is None or self.plan.in_place else f"restored into claim {claim}, "
        parts = [f"{where}recovered to {recovered}"]
        if self._status.get("keptClaim"):
            parts.append(f"the old data is kept as claim {self._status['keptClaim']}")
        if backed_up and backed_up["status"] != "True" and backed_up["reason"] != NOT_NEEDED:
            parts.append(backed_up["message"])
        return self._decision(
            phase="Completed", step=None, reason="Completed", message="; ".join(parts), completionTime=self._now()
        )
