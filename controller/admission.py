"""The same rules as at admission, once more: a webhook that was bypassed changes nothing.

What is wrong with an object itself is final, until its spec is another. What is wrong with the world is waited for. An
object that was taken up before and that a rule refuses only now is cared for all the same, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from controller.context import CacheLookup, Context
from controller.runtime import conditions, metrics, status
from pgwarden import rules, storages
from pgwarden.api import faults, outside
from pgwarden.api.faults import Fault, Waits
from pgwarden.api.kinds import RepositorySpec, ScheduleSpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, is_going
from pgwarden.api.registry import BY_PLURAL
from pgwarden.kube.cache import Key
from pgwarden.schedule import cron
from pgwarden.schedule.zones import zone_problem

REJECTED = "Rejected"
#: Reasons of Rejected: the spec is not followed; or it was before a rule was against it, and is followed still.
INVALID, NO_LONGER_VALID = "InvalidSpec", "NoLongerValid"
#: Seconds between looks at what waits: a tenth of the time that it has waited, within these bounds. What is waited for
#: mostly wakes it before.
SOONEST, LATEST = 2.0, 60.0
#: What pgBackRest itself is asked about before anything is touched; the Repository's status may be behind it.
_ASKED_LATER = frozenset({Waits.NO_SUCH_SET, Waits.OUTSIDE_WINDOW, Waits.NO_SUCH_TIMELINE})


@dataclass(frozen=True)
class Answer:
    """`go`: the object is acted on. Else it waits (`again` seconds at most, for `reason`), or is refused for good.

    `refused` is what a rule has against an object that is cared for all the same. `status` is what has been written.
    """

    go: bool
    refused: str = ""
    reason: str = ""
    message: str = ""
    again: float | None = None
    status: Object = field(default_factory=dict)


GO = Answer(True)


async def judge(context: Context, plural: str, obj: Object) -> Answer:
    """What the rules say of *obj*, written into its status where it is not acted on.

    Of a schedule that waits nothing is written: its controller tells that beside its next runs.
    """
    if (obj.get("status") or {}).get("phase") in {"Completed", "Running"}:
        # Decided when it began. What has become of the world since (a window that moved on) must not stop it halfway.
        return GO
    found = _faults(context, obj)
    own, world = [one for one in found if not one.waits], [one for one in found if one.waits]
    cared_for = bool(found) and _never_over(plural) and stands(plural, obj) and _can_be_followed(plural, obj, found)
    metrics.rejected(plural, obj, bool(own or (cared_for and not _is_schedule(plural))))
    if cared_for and (not _is_schedule(plural) or not world):
        return Answer(True, refused=faults.summary(found))
    if own and not cared_for:
        return await _refuse(context, plural, obj, faults.summary(found))
    if world:
        answer = await _wait(context, plural, obj, world)
        return replace(answer, refused=faults.summary(own)) if own else answer
    return GO


def forget(plural: str, key: Key) -> None:
    """The object is gone."""
    metrics.forget_rejected(plural, key)


def waits(obj: Object) -> bool:
    """Whether *obj*, of a kind that stands, waits for the world to be another."""
    found = conditions.find((obj.get("status") or {}).get("conditions", []), "Ready")
    return found is not None and found["status"] == "False" and found["reason"] in {*Waits}


def stands(plural: str, obj: Object) -> bool:
    """Whether this very spec was acted on before: a condition speaks of it that is not from here.

    A schedule that waits stands too: one that was refused would not wait, and while its Repository is away this
    is all that its status says.
    """
    none = {INVALID} if _is_schedule(plural) else {INVALID, *Waits}
    generation = obj["metadata"]["generation"]
    listed = (obj.get("status") or {}).get("conditions", [])
    of_it = [one for one in listed if one.get("observedGeneration") == generation and one["type"] != REJECTED]
    return any(one["reason"] not in none for one in of_it)


def refusal(listed: list[Object], message: str, *, now: datetime, generation: int) -> list[Object]:
    """*listed* conditions with the one that says what a rule has against an object that is acted on; or without it."""
    if message:
        return conditions.put(listed, REJECTED, True, NO_LONGER_VALID, message, now=now, generation=generation)
    return conditions.without(listed, REJECTED)


def pause(since: str | None, now: datetime) -> float:
    """Seconds until the next look at what has waited *since* (RFC 3339; None: it begins to)."""
    waited = (now - datetime.fromisoformat(since)).total_seconds() if since else 0.0
    return min(LATEST, max(SOONEST, waited / 10))


def _faults(context: Context, obj: Object) -> list[Fault]:
    """All but those that are found out better later."""
    verdict = rules.validate(
        obj,
        old=None,
        lookup=CacheLookup(context.caches),
        now=context.clock(),
        defaults=context.settings.defaults,
        standing=True,
    )
    found = [one for one in verdict.faults if one.waits not in _ASKED_LATER]
    return found or _going(context, obj)


def _going(context: Context, obj: Object) -> list[Fault]:
    """Nothing is begun on a Repository that is being deleted."""
    name = get(obj, str, "spec", "repository")
    repository = context.caches.repositories.get(obj["metadata"]["namespace"], name) if name else None
    if repository is None or not is_going(repository):
        return []
    message = "this Repository is being deleted; pgwarden waits for a new one with this name"
    return [Fault("spec.repository", name, message, "repository", Waits.REPOSITORY_GOING)]


def _can_be_followed(plural: str, obj: Object, found: list[Fault]) -> bool:
    """Whether the spec still has a meaning, whatever a rule has against it."""
    if any(fault.rule == "narrowing" for fault in found):
        return False  # the next status would not list what the storage holds, and the fault would be gone unseen
    if any(fault.rule == "dataSource" or fault.field.startswith("spec.dataSource") for fault in found):
        return False  # the rules look at it only while the copy has not begun
    try:
        spec = msgspec.convert(obj["spec"], BY_PLURAL[plural].spec)
    except outside.UNREADABLE:
        return False
    if isinstance(spec, RepositorySpec):
        return set(spec.storages) <= set(storages.NAMES)
    if isinstance(spec, ScheduleSpec):
        return isinstance(cron.parse(spec.schedule), cron.Schedule) and not zone_problem(spec.time_zone)
    return True


async def _refuse(context: Context, plural: str, obj: Object, message: str) -> Answer:
    before, now, generation = obj.get("status") or {}, context.clock(), obj["metadata"]["generation"]
    listed = _kept(plural, before)
    if _never_over(plural):
        listed = conditions.put(listed, "Ready", False, INVALID, message, now=now, generation=generation)
    listed = conditions.put(listed, REJECTED, True, INVALID, message, now=now, generation=generation)
    after = before | {"observedGeneration": generation, "phase": "Failed", "conditions": listed}
    after |= _words(plural, INVALID, message)
    if _is_schedule(plural):
        after["nextScheduleTimes"] = []
    elif not _never_over(plural):
        after["completionTime"] = before.get("completionTime") or conditions.timestamp(now)
    known = conditions.find(before.get("conditions", []), REJECTED) or {}
    if await status.write(context.client, plural, obj, after) and known.get("message") != message:
        await context.recorder.warning(obj, REJECTED, message)
    return Answer(False, status=after)


async def _wait(context: Context, plural: str, obj: Object, found: list[Fault]) -> Answer:
    before, now, generation = obj.get("status") or {}, context.clock(), obj["metadata"]["generation"]
    reason, message = str(found[0].waits), faults.summary(found)
    kind = BY_PLURAL[plural].waiting_condition
    known = conditions.find(before.get("conditions", []), kind) or {}
    again = pause(known.get("lastTransitionTime") if known.get("reason") == reason else None, now)
    if _is_schedule(plural):
        return Answer(False, reason=reason, message=message, again=again)
    value = False if _never_over(plural) else None
    listed = conditions.without(_kept(plural, before), REJECTED)
    listed = conditions.put(listed, kind, value, reason, message, now=now, generation=generation)
    phase = "Pending"
    if plural == "postgresclusters":
        phase = "Degraded" if before.get("initialized") else "Creating"
    after = before | {"observedGeneration": generation, "phase": phase, "conditions": listed}
    after |= _words(plural, reason, message) | ({"step": kind} if plural == "restores" else {})
    if await status.write(context.client, plural, obj, after) and known.get("reason") != reason:
        await context.recorder.normal(obj, reason, message)
    return Answer(False, reason=reason, message=message, again=again, status=after)


def _never_over(plural: str) -> bool:
    return not BY_PLURAL[plural].is_operation


def _is_schedule(plural: str) -> bool:
    return BY_PLURAL[plural].is_schedule


def _kept(plural: str, before: Object) -> list[Object]:
    """Conditions that nobody looks after any more would tell of what was."""
    own = {REJECTED, "Ready"} if _never_over(plural) else None
    return [one for one in before.get("conditions", []) if own is None or one["type"] in own]


def _words(plural: str, reason: str, message: str) -> Object:
    return {name: {"reason": reason, "message": message}[name] for name in BY_PLURAL[plural].explained_in}
