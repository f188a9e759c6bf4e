"""The next runs of a schedule, and their text: cached until the first of them is due."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from pgwarden.api.bounded_dict import BoundedDict
from pgwarden.schedule.runs import Runs

SHOWN = 3  # runs in the text
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_CACHED = 256  # schedules
_cache: BoundedDict[tuple[object, ...], NextRuns] = BoundedDict(_CACHED)


class NextRuns(msgspec.Struct, frozen=True):
    """The runs (UTC) later than *since*; the text shows the first of them in local time."""

    since: datetime
    runs: tuple[datetime, ...]
    text: str


def next_runs(runs: Runs, now: datetime, count: int) -> NextRuns:
    """The *count* runs later than *now*; fewer where the windows leave no time for more.

    From *since* until the first run is due, the answer stays the same.
    """
    closed = tuple((one.calendar.expression, str(one.zone), one.length) for one in runs.closed)
    question = runs.calendar.expression, str(runs.zone), count, runs.offset, closed
    cached = _cache.get(question)
    if cached is not None and cached.runs and cached.since <= now < cached.runs[0]:
        return cached
    following = list(_following(runs, now, count))
    found = NextRuns(now, tuple(following), ", ".join(_local(run, runs.zone) for run in following[:SHOWN]))
    _cache[question] = found
    return found


def _following(runs: Runs, after: datetime, count: int) -> Iterator[datetime]:
    for _ in range(count):
        due = runs.next_run(after)
        if due is None:
            return
        yield due
        after = due


def _local(run: datetime, zone: ZoneInfo) -> str:
    local = run.astimezone(zone).replace(tzinfo=None)
    return f"{_DAYS[local.weekday()]} {local.isoformat(' ', 'seconds' if local.second else 'minutes')}"
