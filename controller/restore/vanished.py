"""Restores that were deleted half way: what they have left behind is undone, by the plan on the workload."""

from __future__ import annotations

import msgspec
import structlog

from controller.context import Context
from controller.recovery import plan as plans
from controller.recovery.plan import Ending, Plan
from controller.restore import proof, undo
from controller.restore.act import ACTIONS, Done, act, before_next
from controller.restore.carried_plans import Carried
from controller.restore.gather import gather
from controller.restore.proof import REFUSED
from controller.restore.verdict import SOON, StepVerdict
from controller.runtime.backoff import Patience
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key

log = structlog.get_logger()


class Vanished:
    def __init__(self, context: Context, carried: Carried, patience: Patience) -> None:
        self._context = context
        self._carried = carried
        self._patience = patience
        #: Restore that is gone → what was last said of its undoing.
        self._undoing: dict[Key, str] = {}

    async def orphans(self) -> list[Key]:
        """Restores that stopped a workload and do not exist any more: to be reconciled when the controller starts."""
        await self._context.sealing()  # from here on all can tell which marks on workloads are ours
        watched = self._context.settings.watch_namespaces
        if not watched:
            return await self._orphans()
        found = []
        for namespace in watched:
            try:
                found += await self._orphans(namespace)
            except errors.Invalid as error:  # 403, as where a namespace was deleted, and its Role with it
                log.warning("cannot look for what Restores left", namespace=namespace, error=str(error))
        return found

    async def _orphans(self, namespace: str = "") -> list[Key]:
        found = []
        async for one, plan in self._carried.look(namespace):
            key = one["metadata"]["namespace"], plan.restore if plan else ""
            if plan is not None and await self._is_gone(key):
                found.append(key)
        return found

    async def _is_gone(self, key: Key) -> bool:
        """Also where the API server does not tell: the worker asks again, and this one stops none of the others."""
        try:
            return await self._context.client.find(paths.of("restores", *key)) is None
        except errors.ApiError as error:
            log.warning("cannot check whether a Restore was deleted", namespace=key[0], name=key[1], error=str(error))
            return True

    async def undo(self, key: Key) -> float | None:
        """Put back what Restore *key* has left of itself: the workload's claims, or the claim it was writing into."""
        refused = False
        async for one, plan in self._carried.look(key[0]):
            if plan is not None and plan.restore == key[1]:
                return await self._undo_one(key, one, plan)
            said = plans.load(plans.text_of(one))
            refused = refused or (said is not None and said.restore == key[1])
        self._undoing.pop(key, None)
        self._patience.forget(key)
        if not refused:  # else what was restored may be wanted yet
            await self._remove_claim(key)
        return None

    async def _undo_one(self, key: Key, marked: Object, plan: Plan) -> float | None:
        stub, done = _stub(key, plan), Done()
        async with self._context.lock(key[0], plan.repository):
            for _ in range(ACTIONS):
                verdict = undo.judge(await gather(self._context, stub, {}, self._carried))
                await self._tell_undoing(key, marked, verdict)
                if verdict.kind == "done":
                    self._patience.forget(key)
                    return None
                if verdict.action is None:
                    return self._patience.wait(key, verdict.message, verdict.again)
                if done.seen(verdict.action):
                    return self._patience.wait(key, verdict.message, before_next(verdict.action))
                await act(self._context, self._carried, key[0], plan.repository, verdict.action, {})
        return SOON

    async def _tell_undoing(self, key: Key, marked: Object, verdict: StepVerdict) -> None:
        """On the workload: the Restore has no status any more that could say why it is not undone yet."""
        if self._undoing.get(key) == verdict.message:
            return
        self._undoing[key] = verdict.message
        bad = verdict.kind == "fail" or verdict.reason == REFUSED
        write = self._context.recorder.warning if bad else self._context.recorder.normal
        await write(
            marked,
            "UndoingRestore",
            f"rolling back Restore {key[1]}, which was deleted before it finished: {verdict.message}",
        )

    async def _remove_claim(self, key: Key) -> None:
        path = paths.of("persistentvolumeclaims", key[0], names.restored_claim(key[1]))
        claim = await self._context.client.find(path)
        if claim and proof.is_in_between(key[1], claim):
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
