"""When the runs of a schedule begin: by its expression, moved by its spread, put off by its windows. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pgwarden.api import duration
from pgwarden.api.kinds import ScheduleSpec
from pgwarden.schedule import windows
from pgwarden.schedule.cron import Schedule
from pgwarden.schedule.windows import Closed

MOST_SPREAD = timedelta(days=1)


@dataclass(frozen=True)
class Runs:
    calendar: Schedule
    zone: ZoneInfo
    offset: timedelta = timedelta()
    closed: Sequence[Closed] = ()

    def next_run(self, after: datetime) -> datetime | None:
        """The first run later than *after*: a run, or when the schedule was made. None: its windows leave no time.

        Runs that a window puts off are one, at its end.
        """
        due = self.calendar.next_run(after - self.offset, self.zone) + self.offset
        return windows.opens(due, self.closed)


def of(spec: ScheduleSpec, calendar: Schedule, uid: str) -> Runs:
    """*uid*: of the schedule, which decides how far its runs are moved."""
    zone = ZoneInfo(spec.time_zone)
    return Runs(calendar, zone, offset(spec.spread, uid), windows.read(spec.windows, spec.time_zone))


def offset(spread: str, uid: str) -> timedelta:
    """By how much the runs of the schedule with *uid* are put off: less than *spread*, in whole seconds."""
    length = int(min(duration.parse(spread) or timedelta(), MOST_SPREAD).total_seconds())
    digest = hashlib.sha256(uid.encode()).digest()
    return timedelta(seconds=int.from_bytes(digest[:8], "big") % length if length else 0)
