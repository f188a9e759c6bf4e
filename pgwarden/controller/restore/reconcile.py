"""One Restore: gather, decide, write the status, do one thing, and again, until there is something to wait for."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import msgspec
import structlog

from pgwarden.api import names, records
from pgwarden.controller import admission, operations, record
from pgwarden.controller.agents import AgentError
from pgwarden.controller.context import Context
from pgwarden.controller.restore import earlier, render, undo, workload
from pgwarden.controller.restore import plan as plans
from pgwarden.controller.restore.decide import Decision, decide
from pgwarden.controller.restore.gather import gather
from pgwarden.controller.restore.plan import Ending, Plan
from pgwarden.controller.restore.verdict import Action, Call, Create, Delete, Merge, Verdict
from pgwarden.controller.runtime import conditions, status
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
        self._records = record.Records(context, "restores")
        #: Restore that is gone → what was last said of its undoing.
        self._undoing: dict[Key, str] = {}

    async def reconcile(self, key: Key) -> float | None:
        answers: dict[str, Object] = {}
        for _ in range(_ACTIONS):
            restore = await self._context.client.find(paths.of("restores", *key))
            if restore is None or "deletionTimestamp" in restore["metadata"]:
                return await self._vanished(key)
            held = await self._records.look(restore)
            if held is not None:
                # What the earlier one of a record's name has left half way is undone as if nothing had come back.
                return await self._vanished(key) if records.is_record(restore) else held.again
            planned = plans.of_restore(restore) is not None
            answer = admission.GO if planned else await admission.judge(self._context, "restores", restore)
            if not answer.go:
                return answer.again
            async with self._turn(key[0], restore["spec"]["repository"], planned):
                facts = await gather(self._context, restore, answers)
                done = earlier.mark(facts)
                if done is not None:
                    return (await self._records.become(restore, done)).again
                decision = decide(facts)
                await self._record(restore, decision)
                if decision.action is None:
                    if decision.again != 0.0:
                        return decision.again
                    continue
                await self._act(key[0], restore["spec"]["repository"], decision.action, answers)
        return _SOON

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
            failed = one["status"] == "False" and one["reason"] != "NotNeeded"
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
        workloads = await self._workloads()
        left = [(one["metadata"]["namespace"], plan) for one in workloads if (plan := plans.of_workload(one))]
        keys = [(namespace, plan.restore) for namespace, plan in left]
        return [key for key in keys if await self._context.client.find(paths.of("restores", *key)) is None]

    async def _workloads(self, namespace: str = "") -> list[Object]:
        client = self._context.client
        pages: list[Any] = [await client.get(paths.of(plural, namespace)) for plural in workload.PLURALS.values()]
        return [one for page in pages for one in page["items"]]

    async def _vanished(self, key: Key) -> float | None:
        """Put back what Restore *key* has left of itself: the workload's claims, or the claim it was writing into."""
        workloads = await self._workloads(key[0])
        found = next(((one, p) for one in workloads if (p := plans.of_workload(one)) and p.restore == key[1]), None)
        if found is None:
            self._undoing.pop(key, None)
            await self._remove_claim(key)
            return None
        marked, plan = found
        stub = _stub(key, plan)
        async with self._context.lock(key[0], plan.repository):
            for _ in range(_ACTIONS):
                verdict = undo.judge(await gather(self._context, stub, {}))
                await self._tell_undoing(key, marked | {"kind": plan.workload_kind}, verdict)
                if verdict.kind == "done":
                    return None
                if verdict.action is None:
                    return verdict.again
                await self._act(key[0], plan.repository, verdict.action, {})
        return _SOON

    async def _tell_undoing(self, key: Key, marked: Object, verdict: Verdict) -> None:
        """On the workload: the Restore has no status any more that could say why it is not undone yet."""
        if self._undoing.get(key) == verdict.message:
            return
        self._undoing[key] = verdict.message
        write = self._context.recorder.warning if verdict.kind == "fail" else self._context.recorder.normal
        await write(marked, "UndoingRestore", f"undoing Restore {key[1]}, which was deleted halfway: {verdict.message}")

    async def _remove_claim(self, key: Key) -> None:
        path = paths.of("persistentvolumeclaims", key[0], names.restored_claim(key[1]))
        claim = await self._context.client.find(path)
        wanted = {names.LABEL_RESTORE: key[1], names.LABEL_COMPONENT: render.IN_BETWEEN}
        if claim and wanted.items() <= claim["metadata"].get("labels", {}).items():
            await self._context.client.delete(path, uid=claim["metadata"]["uid"])


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
