"""The next runs of a schedule, and their text: cached until the first of them is due."""

from __future__ import annotations

from datetime import datetime

import msgspec

from pgwarden.api.bounded_dict import BoundedDict
from pgwarden.schedule.cron import Schedule
from pgwarden.schedule.zones import zone_of

SHOWN = 3  # runs in the text
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_CACHED = 256  # schedules
_cache: BoundedDict[tuple[str, str, int], NextRuns] = BoundedDict(_CACHED)


class NextRuns(msgspec.Struct, frozen=True):
    """The runs (UTC) later than *since*; the text shows the first of them in local time."""

    since: datetime
    runs: tuple[datetime, ...]
    text: str


def next_runs(schedule: Schedule, zone: str, now: datetime, count: int) -> NextRuns:
    """The *count* runs later than *now*. From *since* until the first run is due, the answer stays the same."""
    question = schedule.expression, zone, count
    cached = _cache.get(question)
    if cached is not None and cached.since <= now < cached.runs[0]:
        return cached
    runs = schedule.next_runs(now, zone, count)
    found = NextRuns(now, tuple(runs), ", ".join(_local(run, zone) for run in runs[:SHOWN]))
    _cache[question] = found
    return found


def _local(run: datetime, zone: str) -> str:
    local = run.astimezone(zone_of(zone)).replace(tzinfo=None)
    return f"{_DAYS[local.weekday()]} {local.isoformat(' ', 'seconds' if local.second else 'minutes')}"
