"""One Restore: gather, decide, write the status, do one thing, and again, until there is something to wait for."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Any

import msgspec
import structlog

from controller import admission, operations, returned
from controller.agents import AgentError
from controller.context import Context
from controller.restore import earlier_runs, proof, undo, workload
from controller.restore import plan as plans
from controller.restore.carried_plans import Carried
from controller.restore.decide import Decision, decide
from controller.restore.facts import Facts
from controller.restore.gather import gather
from controller.restore.plan import Ending, Plan
from controller.restore.proof import REFUSED
from controller.restore.verdict import POLL, Action, Call, Create, Delete, Merge, Verdict
from controller.runtime import conditions, status
from controller.runtime.patience import Patience
from controller.runtime.worker import NotYet
from pgwarden.api import names, records
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key
from pgwarden.kube.client import Object

log = structlog.get_logger()
#: Actions in one go; then other keys have their turn.
_ACTIONS = 20
_SOON = 0.2


class RestoreController:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._records = returned.Records(context, "restores")
        self._carried = Carried(context)
        self._patience = Patience()
        #: Restore that is gone → what was last said of its undoing.
        self._undoing: dict[Key, str] = {}
        #: Uids of Restores that were told that their plans cannot be sealed.
        self._unsealed: set[str] = set()

    async def reconcile(self, key: Key) -> float | None:
        answers: dict[str, Object] = {}
        done = _Done()
        for _ in range(_ACTIONS):
            restore = await self._context.client.find(paths.of("restores", *key))
            if restore is None or "deletionTimestamp" in restore["metadata"]:
                return await self._vanished(key)
            held = await self._records.look(restore)
            if held is not None:
                self._patience.forget(key)
                # What the earlier one of a record's name has left half way is undone as if nothing had come back.
                return await self._vanished(key) if records.is_record(restore) else held.again
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
                decision = decide(facts)
                await self._record(restore, decision)
                if decision.action is None:
                    if decision.again != 0.0:
                        return self._again(key, decision.again, str(decision.status.get("message")))
                    continue
                if done.seen(decision.action):
                    return self._again(key, POLL, str(decision.status.get("message")))
                await self._act(key[0], restore["spec"]["repository"], decision.action, answers)
        return _SOON

    def _again(self, key: Key, seconds: float | None, what: str) -> float | None:
        return None if seconds is None else self._patience.wait(key, what, seconds)

    def _turn(self, namespace: str, repository: str, planned: bool) -> AbstractAsyncContextManager[Any]:
        """Whoever begins on a stanza looks and begins under its lock. Who has begun is seen by all others to run."""
        return nullcontext() if planned else self._context.lock(namespace, repository)

    async def _record(self, restore: Object, decision: Decision) -> None:
        """The status first, then the Events of what has changed in it."""
        if not await status.write(self._context.client, "restores", restore, decision.status):
            return
        before = (restore.get("status") or {}).get("conditions", [])
        recorder = self._context.recorder
        for one in decision.status["conditions"]:
            old = conditions.find(before, one["type"])
            if old is not None and (old["status"], old["reason"]) == (one["status"], one["reason"]):
                continue
            failed = (one["status"] == "False" and one["reason"] != "NotNeeded") or one["reason"] == REFUSED
            write = recorder.warning if failed else recorder.normal
            await write(restore, one["type"] if one["status"] == "True" else one["reason"], one["message"])
        phase = decision.status["phase"]
        if phase != (restore.get("status") or {}).get("phase") and phase in operations.TERMINAL:
            write = recorder.normal if phase == "Completed" else recorder.warning
            await write(restore, phase, decision.status["message"])

    async def _act(self, namespace: str, repository: str, action: Action, answers: dict[str, Object]) -> None:
        client = self._context.client
        match action:
            case Create(plural, body):
                try:
                    await client.create(paths.of(plural, namespace), body)
                except errors.Conflict as error:
                    log.info("there already", kind=body["kind"], name=body["metadata"]["name"], error=str(error))
            case Merge(plural, where, name, body):
                if names.ANNOTATION_STOPPED_BY in body.get("metadata", {}).get("annotations", {}):
                    kind = next(kind for kind, own in workload.PLURALS.items() if own == plural)
                    body = await self._carried.sealed(kind, where, name, body)
                await client.merge(paths.of(plural, where, name), body)
            case Delete(plural, where, name, uid):
                await client.delete(paths.of(plural, where, name), uid=uid)
            case Call(ip, call, seconds, into):
                try:
                    answers[into] = await self._context.agents.pod((namespace, repository), ip, call, seconds=seconds)
                except AgentError as error:
                    answers[into] = {"ok": False, "error": str(error)}

    # --- a Restore that was deleted half way --------------------------------------------------------------------

    async def orphans(self) -> list[Key]:
        """Restores that stopped a workload and do not exist any more: to be reconciled when the controller starts."""
        found = []
        await self._carried.seal()  # from here on all can tell which marks on workloads are ours
        async for one, plan in self._carried.look():
            key = one["metadata"]["namespace"], plan.restore if plan else ""
            if plan is not None and await self._is_gone(key):
                found.append(key)
        return found

    async def _is_gone(self, key: Key) -> bool:
        """Also where the API server does not tell: the worker asks again, and this one stops none of the others."""
        try:
            return await self._context.client.find(paths.of("restores", *key)) is None
        except errors.ApiError as error:
            log.warning("cannot see whether a Restore is gone", namespace=key[0], name=key[1], error=str(error))
            return True

    async def _vanished(self, key: Key) -> float | None:
        """Put back what Restore *key* has left of itself: the workload's claims, or the claim it was writing into."""
        refused = False
        async for one, plan in self._carried.look(key[0]):
            if plan is not None and plan.restore == key[1]:
                return await self._undo(key, one, plan)
            said = plans.load(plans.text_of(one))
            refused = refused or (said is not None and said.restore == key[1])
        self._undoing.pop(key, None)
        self._patience.forget(key)
        if not refused:  # else what was restored may be wanted yet
            await self._remove_claim(key)
        return None

    async def _undo(self, key: Key, marked: Object, plan: Plan) -> float | None:
        stub, done = _stub(key, plan), _Done()
        async with self._context.lock(key[0], plan.repository):
            for _ in range(_ACTIONS):
                verdict = undo.judge(await gather(self._context, stub, {}, self._carried))
                await self._tell_undoing(key, marked, verdict)
                if verdict.kind == "done":
                    self._patience.forget(key)
                    return None
                if verdict.action is None:
                    return self._again(key, verdict.again, verdict.message)
                if done.seen(verdict.action):
                    return self._again(key, POLL, verdict.message)
                await self._act(key[0], plan.repository, verdict.action, {})
        return _SOON

    async def _seal_again(self, facts: Facts) -> None:
        """A Restore that is at work vouches for its plan: version 0.1 sealed none, and a key may have been lost."""
        plan = facts.plan
        found = facts.workload(plan.workload, plan.workload_kind) if plan and plan.in_place else None
        if plan is None or found is None or not workload.is_marked(plan, found):
            return
        try:
            sealed = (await self._carried.seal()).holds(plan.workload_kind, found)
        except NotYet as error:  # its own status.plan vouches for it: PostgreSQL does not stay down for a seal
            await self._tell_unsealed(facts, str(error))
            return
        if not sealed:
            await self._act(facts.namespace, plan.repository, workload.mark(plan, found), {})

    async def _tell_unsealed(self, facts: Facts, why: str) -> None:
        if facts.planned.restore_uid in self._unsealed:
            return
        self._unsealed.add(facts.planned.restore_uid)
        text = f"{why}. This Restore goes on; until then, do not delete it: its undoing would not be begun"
        await self._context.recorder.warning(facts.restore, "NoSealKey", text)

    async def _tell_undoing(self, key: Key, marked: Object, verdict: Verdict) -> None:
        """On the workload: the Restore has no status any more that could say why it is not undone yet."""
        if self._undoing.get(key) == verdict.message:
            return
        self._undoing[key] = verdict.message
        bad = verdict.kind == "fail" or verdict.reason == REFUSED
        write = self._context.recorder.warning if bad else self._context.recorder.normal
        await write(marked, "UndoingRestore", f"undoing Restore {key[1]}, which was deleted halfway: {verdict.message}")

    async def _remove_claim(self, key: Key) -> None:
        path = paths.of("persistentvolumeclaims", key[0], names.restored_claim(key[1]))
        claim = await self._context.client.find(path)
        if claim and proof.is_in_between(key[1], claim):
            await self._context.client.delete(path, uid=claim["metadata"]["uid"])


class _Done:
    """What one look has done. What was done and is to be done again, has changed nothing: that is not tried at once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def seen(self, action: Action) -> bool:
        """Whether it was done already; of a change of an object, whatever version of it that was meant for."""
        what = repr(action)
        if isinstance(action, Merge):
            metadata = {k: v for k, v in action.body.get("metadata", {}).items() if k != "resourceVersion"}
            what = repr(replace(action, body=action.body | {"metadata": metadata}))
        before = what in self._seen
        self._seen.add(what)
        return before


def _stub(key: Key, plan: Plan) -> Object:
    """As much of the vanished Restore as its undoing needs."""
    ended = Ending(reason=undo.VANISHED, message="the Restore was deleted", step="")
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Restore",
        "metadata": {"namespace": key[0], "name": key[1], "uid": plan.restore_uid},
        "spec": {"repository": plan.repository},
        "status": {"plan": msgspec.structs.replace(plan, ending=ended).dump()},
    }
