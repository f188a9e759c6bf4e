"""Plans that workloads carry as an annotation: which are ours, and what is said of the others.

Whoever may write a Deployment may write anything there. One that is not ours is refused with an Event on the workload
that carries it, once, and stops nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable

import structlog

from controller import operations
from controller.context import Context
from controller.recovery import plan as plans
from controller.recovery.plan import Plan
from controller.restore import proof, workload
from controller.runtime.worker import NotYet
from controller.seal import Seal
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.kube import errors, paths
from pgwarden.kube.client import METADATA

log = structlog.get_logger()

#: Refusals that are remembered as told; the oldest go.
_REMEMBERED = 10_000
#: Refusals that are told at one look; the others wait for the next one.
_AT_A_LOOK = 20


class Carried:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._told: dict[bytes, None] = {}

    async def look(self, namespace: str = "", *, whole: bool = False) -> AsyncIterator[tuple[Object, Plan | None]]:
        """Each workload of *namespace*, or of all, with the plan that it carries where that is ours; page by page.

        Unless *whole* no more than its metadata is read: there may be thousands of other people's.
        """
        left = _AT_A_LOOK
        for kind, plural in workload.PLURALS.items():
            accept = "" if whole else METADATA
            async for raw in self._context.client.items(paths.of(plural, namespace), accept=accept):
                one = raw | {"kind": kind, "apiVersion": "apps/v1"}
                if plans.text_of(one) is None:
                    yield one, None
                    continue
                why = await self._why_not(kind, one)
                key = _key(one, why)
                if why and left and key not in self._told and not await self._is_at_work(one):
                    left -= 1
                    self._remember(key)
                    await self._refuse(one, why)
                yield one, None if why else plans.of_workload(one)

    def without(self, one: Object) -> Object:
        """As if nothing had been written on it."""
        noted = one["metadata"].get("annotations") or {}
        left = {key: value for key, value in noted.items() if key != names.ANNOTATION_STOPPED_BY}
        return one | {"metadata": one["metadata"] | {"annotations": left}}

    async def sealed(self, kind: str, namespace: str, name: str, body: Object) -> Object:
        """*body*, a merge patch of a workload that names its uid, with the seal on the plan that it writes, if any.

        Where the key cannot be had it goes unsealed: only a Restore that is there comes so far, and seals it later.
        """
        metadata = body["metadata"]
        text = metadata.get("annotations", {}).get(names.ANNOTATION_STOPPED_BY)
        mark = None
        if text is not None:
            about = (namespace, kind, name)
            mark = await self._try(about, lambda one: one.of(*about, metadata["uid"], text))
        return _noted(body, names.ANNOTATION_STOPPED_BY_SEAL, mark)

    async def sealed_backup(self, namespace: str, body: Object) -> Object:
        """The same of the Backup that a Restore ends with: an undo believes what it says once the Restore is gone."""
        mark = await self._try((namespace, "Backup", body["metadata"]["name"]), lambda one: one.of_backup(body))
        return body if mark is None else _noted(body, names.ANNOTATION_RESTORE_SEAL, mark)

    async def _try(self, about: tuple[str, str, str], make: Callable[[Seal], str]) -> str | None:
        """None where the key cannot be had. *about*: namespace, kind and name of what is sealed."""
        try:
            return make(await self._context.sealing())
        except NotYet as error:
            log.warning("not sealed", namespace=about[0], kind=about[1], name=about[2], error=str(error))
            return None

    async def _why_not(self, kind: str, one: Object) -> str:
        if plans.load(plans.text_of(one)) is None:
            return "it is not a valid plan of a Restore"
        if plans.of_workload(one) is None:
            return "it names another workload"
        if not (await self._context.sealing()).holds(kind, one):
            return f"{names.ANNOTATION_STOPPED_BY_SEAL} is not this controller's seal, so anybody may have written it"
        return ""

    async def _is_at_work(self, one: Object) -> bool:
        """Whether the Restore that is named there is: it goes by its own status, and seals its plan again."""
        said = plans.of_workload(one)
        if said is None:
            return False
        namespace = one["metadata"]["namespace"]
        found = self._context.caches.restores.get(namespace, said.restore)
        try:  # the cache may lag behind one that was just made
            found = found or await self._context.client.find(paths.of("restores", namespace, said.restore))
        except errors.ApiError:
            return False
        if found is None or found["metadata"]["uid"] != said.restore_uid or operations.is_over(found):
            return False
        return plans.of_restore(found) is not None

    def _remember(self, key: bytes) -> None:
        self._told[key] = None
        if len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]

    async def _refuse(self, one: Object, why: str) -> None:
        metadata, kind = one["metadata"], one["kind"].lower()
        await self._context.recorder.warning(
            one,
            proof.REFUSED,
            f"annotation {names.ANNOTATION_STOPPED_BY} is not acted on: {why}. Nothing was changed. If a Restore that "
            f'was deleted halfway has left this {one["kind"]} stopped, undo it by hand (docs/restore.md, "Undo a '
            f'deleted Restore by hand"). Then take both annotations off: kubectl annotate {kind} {metadata["name"]} '
            f"-n {metadata['namespace']} {names.ANNOTATION_STOPPED_BY}- {names.ANNOTATION_STOPPED_BY_SEAL}-",
        )


def _key(one: Object, why: str) -> bytes:
    return hashlib.sha256(repr((one["metadata"]["uid"], plans.text_of(one), why)).encode()).digest()


def _noted(body: Object, annotation: str, mark: str | None) -> Object:
    metadata = body["metadata"]
    return body | {"metadata": metadata | {"annotations": metadata.get("annotations", {}) | {annotation: mark}}}
