"""The times that a Restore has taken back: the timeline of now does not have what was committed then. Pure.

A second Restore to such a time, along the latest timeline, would bring back the state that the first one brought back,
and say that it is done: whoever restored to 10:00 by mistake would not get 11:00. So the timeline has to be named.

Each Restore in place ends one timeline and begins another. A timeline has the times of the one that it came from, up
to where the Restore went, and those from when PostgreSQL was stopped for it. A timeline of which no Restore tells, as
after a failover, goes on from the one before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pgwarden.api.objects import Object
from pgwarden.api.reading import condition, get, moment
from pgwarden.api.target import TargetError, parse_time, rfc3339, timeline_number
from pgwarden.rules import restore_undo

_NEVER, _FOREVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass
class _Branch:
    """A timeline, as far as one moment goes. `inherited`: it has that from the timeline that it came from."""

    number: int  # as which it ended
    inherited: bool = False
    opened: datetime = _NEVER
    ended: datetime = _FOREVER

    def has(self, wanted: datetime) -> bool:
        return self.inherited or self.opened < wanted <= self.ended


@dataclass(frozen=True)
class _Done:
    """A Restore in place that PostgreSQL has taken writes after. `cut`: up to where it went; None is not known."""

    name: str
    before: int
    began: int
    stopped: datetime
    cut: datetime | None
    followed: int  # the timeline


def problem(restores: Iterable[Object], wanted: datetime) -> str:
    """Why *wanted* needs a `targetTimeline`; the end of a sentence, empty where it does not."""
    listed = list(restores)
    named = {get(one, str, "metadata", "name") or "": one for one in listed}
    done = sorted((found for one in listed if (found := _done(one, named))), key=lambda one: one.began)
    branches = _branches(done, wanted)
    took = next((one for one in done if one.cut and one.cut < wanted <= one.stopped), None)
    there = [branch for branch in branches if branch.has(wanted)]
    if branches[-1].has(wanted) or not there or took is None or took.cut is None:
        return ""
    return (
        f"was taken back by Restore {took.name}, which at {rfc3339(took.stopped)} brought back the state of "
        f'{rfc3339(took.cut)}; for the state at that time add targetTimeline: "{there[-1].number}", '
        "for what the timeline of now has of it targetTimeline: latest"
    )


def _branches(done: Iterable[_Done], wanted: datetime) -> list[_Branch]:
    """In their order; the first is that of before the first Restore."""
    began, branches = [0], [_Branch(0)]
    for one in done:
        followed, served = (branches[bisect_right(began, number) - 1] for number in (one.followed, one.before))
        inherited = one.cut is None or (followed.has(wanted) and wanted <= one.cut)
        served.number, served.ended = one.before, min(served.ended, one.stopped)
        began.append(one.began)
        branches.append(_Branch(one.began, inherited, one.stopped))
    return branches


def _done(restore: Object, named: Mapping[str, Object]) -> _Done | None:
    began, stopped = get(restore, int, "status", "timeline"), moment(get(restore, str, "status", "stoppedTime"))
    if get(restore, str, "spec", "volumeClaim") or not began or stopped is None:
        return None
    if condition(restore, "Started") != "True" or condition(restore, "RolledBack"):
        return None
    before = restore_undo.timeline_before(restore)
    name = get(restore, str, "metadata", "name") or ""
    undone = named.get(get(restore, str, "spec", "undo") or "")
    if get(restore, str, "spec", "undo"):
        followed = get(undone, int, "status", "timelineBefore")
        end = moment(get(undone, str, "status", "stoppedTime")) if followed else None
        return _Done(name, before, began, stopped, end, followed or before)
    text = get(restore, str, "spec", "targetTimeline") or "latest"
    followed = before if text == "latest" else timeline_number(text)
    return _Done(name, before, began, stopped, _cut(restore, stopped) if followed else None, followed or before)


def _cut(restore: Object, stopped: datetime) -> datetime | None:
    """To where *restore* went: its target's time, or the last commit; without a target the end."""
    target = get(restore, dict, "spec", "target")
    if not target:
        return stopped
    reached = moment(get(restore, str, "status", "recoveredTo"))
    try:
        asked = parse_time(str(target["time"])) if target.get("time") else None
    except TargetError:
        return None
    return max((at for at in (reached, asked) if at is not None), default=None)
