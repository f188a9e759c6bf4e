"""The runs of the coming week, by the schedules' own calendars. Pure.

Runs are worked out one by one as they are wanted: a thousand schedules cost little more than what is shown.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from pgwarden.api.kinds import ScheduleSpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.api.registry import BY_NAME, KINDS, Kind
from pgwarden.dashboard.snapshot import Snapshot, place
from pgwarden.dashboard.words import When, when
from pgwarden.schedule import cron, runs
from pgwarden.schedule.runs import Runs
from pgwarden.schedule.zones import zone_problem

WEEK = timedelta(days=7)
MOST = 500  # runs that are shown
#: What decides when a schedule runs, whatever else its kind has.
_FIELDS = ("repository", "schedule", "timeZone", "spread", "notDuring", "type", "suspend")


@dataclass(frozen=True)
class Run:
    at: When
    local: str  # in the schedule's own zone
    kind: str
    namespace: str
    name: str
    repository: str
    what: str


@dataclass(frozen=True)
class Day:
    title: str
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Week:
    days: tuple[Day, ...]
    until: str  # how far the list goes, where there is no room for the whole week
    idle: tuple[tuple[str, str, str], ...]  # namespace, name, why: schedules that run nothing
    is_known: bool = True  # whether BackupSchedules may be read


def of(snapshot: Snapshot, now: datetime) -> Week:
    following, idle = [], []
    for kind in KINDS:
        for one in snapshot.of(kind.plural) if kind.is_schedule else ():
            found = _runs(one, kind)
            namespace, name = place(one, own=True)
            if isinstance(found, str):
                idle.append((namespace, name, found))
            else:
                following.append(_following(one, found, now))
    shown: list[tuple[datetime, Run]] = []
    cut = ""
    for at, _, run in heapq.merge(*following, key=lambda found: found[:2]):
        if len(shown) == MOST:
            cut = run.at.text
            break
        shown.append((at, run))
    days: dict[str, list[Run]] = {}
    for at, run in shown:
        days.setdefault(f"{at:%A %Y-%m-%d}", []).append(run)
    return Week(
        tuple(Day(title, tuple(listed)) for title, listed in days.items()),
        cut,
        tuple(idle),
        snapshot.knows("backupschedules"),
    )


def _runs(schedule: Object, kind: Kind) -> Runs | str:
    """Why it has none, in words."""
    if get(schedule, bool, "spec", "suspend"):
        return "suspended"
    if get(schedule, str, "status", "phase") == "Failed":
        return f"rejected: {get(schedule, str, 'status', 'message') or 'see its conditions'}"
    given: Object = {"repository": ""} | {
        key: value for key, value in (get(schedule, dict, "spec") or {}).items() if key in _FIELDS
    }
    try:
        spec = msgspec.convert(given, kind.spec)
    except msgspec.ValidationError as error:
        return f"not readable: {error}"
    assert isinstance(spec, ScheduleSpec)
    calendar = cron.parse(spec.schedule)
    if not isinstance(calendar, cron.Schedule) or zone_problem(spec.time_zone):
        return f'"{spec.schedule}" {spec.time_zone} is no schedule'
    return runs.of(spec, calendar, str(schedule["metadata"].get("uid", "")))


def _following(schedule: Object, found: Runs, now: datetime) -> Iterator[tuple[datetime, tuple[str, str], Run]]:
    namespace, name = place(schedule, own=True)
    kind = str(schedule.get("kind"))
    what = str(get(schedule, str, "spec", "type") or "incr") if kind == "BackupSchedule" else BY_NAME[kind].word
    at = found.next_run(now)
    while at is not None and at <= now + WEEK:
        shown = when(at, now)
        assert shown is not None
        local = f"{at.astimezone(found.zone):%H:%M} {found.zone}"
        yield at, (namespace, name), Run(shown, local, kind, namespace, name, place(schedule)[1], what)
        at = found.next_run(at)
