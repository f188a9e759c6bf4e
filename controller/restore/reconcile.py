"""One Restore: gather, decide, write the status, do one thing, and again, until there is something to wait for."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import structlog

from controller import admission, operations, returned
from controller.context import Context
from controller.recovery import plan as plans
from controller.recovery.progress import STUCK
from controller.restore import earlier_runs, workload
from controller.restore.act import ACTIONS, Done, act, before_next
from controller.restore.carried_plans import Carried
from controller.restore.decide import RestoreDecision, decide
from controller.restore.facts import Answers, RestoreFacts
from controller.restore.gather import gather
from controller.restore.proof import REFUSED
from controller.restore.refusals import REASON, Refusals
from controller.restore.steps_switch import SCALED_UP
from controller.restore.vanished import Vanished
from controller.restore.verdict import SOON
from controller.runtime import conditions, status
from controller.runtime.backoff import Patience
from controller.runtime.worker import NotYet
from pgwarden.api import records
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going
from pgwarden.api.reasons import HELD
from pgwarden.kube import paths
from pgwarden.kube.cache import Key
from pgwarden.kube.errors import Invalid

log = structlog.get_logger()

#: Reasons of a step that goes on, and that somebody has to know of.
_WARN = frozenset({REFUSED, REASON, SCALED_UP, STUCK}) | HELD


class RestoreController:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._records = returned.Records(context, "restores")
        self._carried = Carried(context)
        self._patience = Patience()
        self._refusals = Refusals()
        self._vanished = Vanished(context, self._carried, self._patience)
        #: Uids of Restores that were told that their plans cannot be sealed.
        self._unsealed: set[str] = set()

    async def reconcile(self, key: Key) -> float | None:
        answers: Answers = {}
        done = Done()
        for _ in range(ACTIONS):
            restore = await self._context.client.find(paths.of("restores", *key))
            if restore is None or is_going(restore):
                self._refusals.forget(key)
                return await self._vanished.undo(key)
            held = await self._records.look(restore)
            if held is not None:
                self._patience.forget(key)
                # What the earlier one of a record's name has left half way is undone as if nothing had come back.
                return await self._vanished.undo(key) if records.is_record(restore) else held.again
            planned = plans.of_restore(restore) is not None
            answer = admission.GO if planned else await admission.judge(self._context, "restores", restore)
            if not answer.go:
                return answer.again
            async with self._turn(key[0], restore["spec"]["repository"], planned):
                facts = await gather(self._context, restore, answers, self._carried)
                before = earlier_runs.mark(facts)
                if before is not None:
                    return (await self._records.become(restore, before)).again
                await self._seal_again(facts)
                decision = self._refusals.told(key, decide(facts))
                await self._record(restore, decision)
                if decision.action is None:
                    if decision.again != 0.0:
                        return self._again(key, decision.again, str(decision.status.get("message")))
                    continue
                if done.seen(decision.action):
                    return self._again(key, before_next(decision.action), str(decision.status.get("message")))
                repository = restore["spec"]["repository"]
                try:
                    await act(self._context, self._carried, key[0], repository, decision.action, answers)
                except Invalid as error:
                    self._refusals.note(key, decision, error)  # told with the next look
                    raise
                self._refusals.done(key, decision.action)
        return SOON

    async def orphans(self) -> list[Key]:
        return await self._vanished.orphans()

    def _again(self, key: Key, seconds: float | None, what: str) -> float | None:
        return None if seconds is None else self._patience.wait(key, what, seconds)

    def _turn(self, namespace: str, repository: str, planned: bool) -> AbstractAsyncContextManager[Any]:
        """An operation checks the stanza and starts under its lock; once started, the others see it as running."""
        return nullcontext() if planned else self._context.lock(namespace, repository)

    async def _record(self, restore: Object, decision: RestoreDecision) -> None:
        """The status first, then the Events of what has changed in it."""
        if not await status.write(self._context.client, "restores", restore, decision.status):
            return
        before = (restore.get("status") or {}).get("conditions", [])
        recorder = self._context.recorder
        for one in decision.status["conditions"]:
            old = conditions.find(before, one["type"])
            if old is not None and (old["status"], old["reason"]) == (one["status"], one["reason"]):
                continue
            failed = (one["status"] == "False" and one["reason"] != "NotNeeded") or one["reason"] in _WARN
            write = recorder.warning if failed else recorder.normal
            await write(restore, one["type"] if one["status"] == "True" else one["reason"], one["message"])
        phase = decision.status["phase"]
        if phase != (restore.get("status") or {}).get("phase") and phase in operations.TERMINAL:
            write = recorder.normal if phase == "Completed" else recorder.warning
            await write(restore, phase, decision.status["message"])

    async def _seal_again(self, facts: RestoreFacts) -> None:
        """A Restore that is at work vouches for its plan: version 0.1 sealed none, and a key may have been lost."""
        plan = facts.plan
        found = facts.workload(plan.workload, plan.workload_kind) if plan and plan.in_place else None
        if plan is None or found is None or not workload.is_marked(plan, found):
            return
        try:
            sealed = (await self._context.sealing()).holds(plan.workload_kind, found)
        except NotYet as error:  # its own status.plan vouches for it: PostgreSQL does not stay down for a seal
            await self._tell_unsealed(facts, str(error))
            return
        if not sealed:
            mark = workload.mark(plan, found)
            await act(self._context, self._carried, facts.namespace, plan.repository, mark, {})

    async def _tell_unsealed(self, facts: RestoreFacts, why: str) -> None:
        if facts.planned.restore_uid in self._unsealed:
            return
        self._unsealed.add(facts.planned.restore_uid)
        text = f"{why}. This Restore continues; until then do not delete it: it would not be rolled back"
        await self._context.recorder.warning(facts.restore, "NoSealKey", text)
