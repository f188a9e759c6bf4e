"""The coming runs of a schedule, and how they are told: remembered until the first of them has come."""

from __future__ import annotations

from datetime import datetime

import msgspec

from pgwarden.api.bounded_dict import BoundedDict
from pgwarden.schedule.cron import Schedule
from pgwarden.schedule.zones import zone_of

TOLD = 3  # coming runs
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_REMEMBERED = 256  # schedules
_known: BoundedDict[tuple[str, str, int], Coming] = BoundedDict(_REMEMBERED)


class Coming(msgspec.Struct, frozen=True):
    """The runs (UTC) later than *since*, the first ones of them told in local time."""

    since: datetime
    runs: tuple[datetime, ...]
    told: str


def coming(schedule: Schedule, zone: str, now: datetime, count: int) -> Coming:
    """The *count* runs later than *now*. ValueError where the calendar ends before them.

    Between *since* and the first run nothing comes and nothing goes, so that the same ones are next all that time.
    """
    question = schedule.expression, zone, count
    known = _known.get(question)
    if known is not None and known.since <= now < known.runs[0]:
        return known
    runs = schedule.next_runs(now, zone, count)
    found = Coming(now, tuple(runs), ", ".join(_local(run, zone) for run in runs[:TOLD]))
    _known[question] = found
    return found


def _local(run: datetime, zone: str) -> str:
    local = run.astimezone(zone_of(zone)).replace(tzinfo=None)
    return f"{_DAYS[local.weekday()]} {local.isoformat(' ', 'seconds' if local.second else 'minutes')}"
