"""A drill that ends is put into its Repository's status.lastDrills, before it says itself that it has ended.

Only here: who may write a drill's status, or make a Restore or a Repository of the name, proves nothing by it. What was
written is there once, by the drill's uid, however often this is repeated.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
import structlog

from controller import owned
from controller.context import Context
from controller.drill import render
from controller.recovery import plan as plans
from controller.runtime import status
from pgwarden.api import names, outside, records
from pgwarden.api.kinds import RestoreSpec, RestoreTarget
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, is_going
from pgwarden.contract import last_drills
from pgwarden.kube import paths
from pgwarden.rules.restore import MUTABLE

log = structlog.get_logger()
#: Of a Restore's spec, what says where it begins and ends. What the drill leaves open its Restore may say.
_POINT = ("target", "targetTimeline", "set", "storage")
_TARGETS = {field.encode_name for field in msgspec.structs.fields(RestoreTarget)}


def is_real(drill: Object, restore: Object) -> bool:
    """Whether *restore* is what *drill* asks for: no record of an earlier one, nor one with an image, a Repository or a
    point of somebody else's.
    """
    known = (drill.get("status") or {}).get("restoreUID")
    if not owned.is_owned(restore, drill["metadata"]["uid"]) or records.is_record(restore):
        return False
    if known and known != restore["metadata"]["uid"]:
        return False
    wanted = render.restore(drill, render.spec_of(drill))["spec"]
    open_ = [MUTABLE, *(field for field in _POINT if not _is_said(drill, field))]
    try:
        return _without(wanted, open_) == _without(restore["spec"], open_)
    except outside.UNREADABLE:
        return False


def _is_said(drill: Object, field: str) -> bool:
    said = drill["spec"].get(field)
    return bool(said) and (field != "target" or set(said) <= _TARGETS)


def _without(spec: Object, fields: list[str]) -> RestoreSpec:
    return msgspec.convert({key: value for key, value in spec.items() if key not in fields}, RestoreSpec)


async def record(context: Context, drill: Object, after: Object) -> None:
    """*after* is the status with which *drill* ends."""
    namespace, name = drill["metadata"]["namespace"], drill["spec"]["repository"]
    async with context.lock(namespace, name):
        # As they are now: two drills may end at once, and a cache may still show what was before.
        repository = await context.client.find(paths.of("repositories", namespace, name))
        if repository is None or is_going(repository):
            return
        made = names.drill(drill["metadata"]["name"])
        restore = await context.client.find(paths.of("restores", namespace, made))
        real = restore if restore is not None and is_real(drill, restore) else None
        if last_drills.passed(after) and real is None:
            log.warning("a drill whose Restore has gone proves nothing", drill=drill["metadata"]["name"])
            return
        if _is_older(real or drill, repository):
            return  # it was of an earlier Repository of that name
        new = last_drills.entry(drill, after, _storage(after, real))
        before = repository.get("status") or {}
        listed = last_drills.added(last_drills.of(repository), new)
        await status.write(context.client, "repositories", repository, before | {last_drills.FIELD: listed})


def _is_older(obj: Object, repository: Object) -> bool:
    one, other = (datetime.fromisoformat(each["metadata"]["creationTimestamp"]) for each in (obj, repository))
    return one < other


def _storage(after: Object, restore: Object | None) -> str:
    """Which one was restored from; empty where it did not come to that."""
    if restore is None:
        return str(after.get("storage") or "")
    plan = plans.of_restore(restore)
    told = (after.get("storage"), get(restore, str, "status", "forecast", "storage"), plan and plan.storage)
    return str(next(filter(None, (*told, get(restore, str, "spec", "storage"))), ""))
