"""When something begins: expression, time zone and `spread` of a schedule, `notDuring` of a Backup and its schedule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from pgwarden.api import duration, outside
from pgwarden.api.judging import Case
from pgwarden.api.kinds import Window
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.schedule import cron, runs, windows
from pgwarden.schedule.cron import Schedule
from pgwarden.schedule.next_runs import NextRuns
from pgwarden.schedule.zones import zone_problem

#: Whether windows leave any time is looked at from here on, whenever that is asked.
_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def check_name(case: Case) -> None:
    if len(case.name) > 63:
        case.refuse("metadata.name", case.name[:80], "must have at most 63 characters: it becomes a label", "name")


def check_zone(case: Case) -> str | None:
    name = case.get(str, "timeZone")
    if name is None:
        return "UTC"
    problem = zone_problem(name)
    if problem:
        case.refuse("spec.timeZone", name[:100], problem, "timeZone")
        return None
    return name


def check_expression(case: Case) -> Schedule | None:
    expression = case.get(str, "schedule")
    if expression is None:  # the schema says so already
        return None
    parsed = cron.parse(expression)
    if isinstance(parsed, Schedule):
        return parsed
    case.faults += parsed
    return None


def runs_of(case: Case, schedule: Schedule, zone: str, closed: Sequence[windows.Closed] = ()) -> runs.Runs:
    """Moved by spec.spread where it has a uid already, which decides by how much."""
    uid = get(case.obj, str, "metadata", "uid")
    moved = runs.offset(case.get(str, "spread") or "", uid) if uid else timedelta()
    return runs.Runs(schedule, ZoneInfo(zone), moved, closed)


def note_runs(case: Case, of: runs.Runs, found: NextRuns, what: str) -> None:
    spread = case.get(str, "spread")
    later = f", each by up to {spread} later" if spread and not of.offset else ""
    if found.runs:
        case.note(f"next {what}: {found.text} ({of.zone}){later}")


def check_windows(case: Case, zone: str) -> tuple[windows.Closed, ...]:
    """*zone* is that of the windows that name none. The windows, where all of them are good."""
    listed = case.get(list, "notDuring") or []
    before = len(case.faults)
    found = [window for number, entry in enumerate(listed) for window in _window(case, number, entry)]
    if len(case.faults) > before:
        return ()
    closed = windows.read(found, zone)
    if any(windows.opens(one.calendar.next_run(_SOME_DAY, one.zone), closed) is None for one in closed):
        text = (
            f"more than {windows.MOST_IN_A_ROW} windows follow one another without a gap, so that no backup could "
            "begin; leave time between them, or write them as fewer, longer ones"
        )
        case.refuse("spec.notDuring", None, text, "notDuring")
        return ()
    return closed


def _window(case: Case, number: int, entry: Object) -> Iterator[Window]:
    if not isinstance(entry, dict):  # the schema says so already
        return
    where = f"spec.notDuring[{number}]"
    parsed = cron.parse(entry.get("schedule"), f"{where}.schedule") if "schedule" in entry else []
    if isinstance(parsed, list):
        case.faults += parsed
    length, named = entry.get("duration"), entry.get("timeZone")
    if isinstance(length, str):
        _check_length(case, f"{where}.duration", length, windows.SHORTEST, windows.LONGEST)
    problem = zone_problem(named) if isinstance(named, str) else ""
    if isinstance(named, str) and problem:
        case.refuse(f"{where}.timeZone", named[:100], problem, "timeZone")
    try:
        yield msgspec.convert(entry, Window)
    except outside.UNREADABLE:
        return


def check_spread(case: Case) -> None:
    text = case.get(str, "spread")
    if text:
        _check_length(case, "spec.spread", text, timedelta(seconds=1), runs.MOST_SPREAD)


def _check_length(case: Case, field: str, text: str, least: timedelta, most: timedelta) -> None:
    found = duration.parse(text)
    if found is None or not least <= found <= most:
        bounds = f"from {duration.told(least)} to {duration.told(most)}"
        case.refuse(field, text[:100], f"must be {duration.FORM}, {bounds}", "duration")
