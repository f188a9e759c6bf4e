"""Times in which no backup begins. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pgwarden.api import duration
from pgwarden.api.kinds import Window
from pgwarden.schedule import cron
from pgwarden.schedule.cron import Schedule
from pgwarden.schedule.zones import zone_problem

#: So many windows may follow one another without a gap: each costs some thirty questions to the calendar.
MOST_IN_A_ROW = 20
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=31)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Closed:
    """From each time that *calendar* fires (inclusive), for *length*."""

    calendar: Schedule
    zone: ZoneInfo
    length: timedelta

    def end(self, at: datetime) -> datetime | None:
        """When the window ends that *at* is in; the latest, where they overlap. None: it is in none."""
        at = at.replace(microsecond=0)
        low = at - self.length
        if self.calendar.next_run(low, self.zone) > at:
            return None
        # The last time that it fired, by halving: *low* is always before it, *high* never.
        high = at
        while high - low > _SECOND:
            middle = low + (high - low) // _SECOND // 2 * _SECOND
            if self.calendar.next_run(middle, self.zone) <= at:
                low = middle
            else:
                high = middle
        return self.calendar.next_run(low, self.zone) + self.length


def read(windows: Iterable[Window], zone: str) -> tuple[Closed, ...]:
    """As a spec has them, *zone* being that of those that name none. One that keeps no rule is left out."""
    return tuple(found for one in windows if (found := _read(one, zone)) is not None)


def _read(window: Window, zone: str) -> Closed | None:
    calendar, length, named = cron.parse(window.schedule), duration.parse(window.duration), window.time_zone or zone
    if not isinstance(calendar, Schedule) or zone_problem(named) or not length or not SHORTEST <= length <= LONGEST:
        return None
    return Closed(calendar, ZoneInfo(named), length)


def opens(at: datetime, closed: Sequence[Closed]) -> datetime | None:
    """*at* itself where it is in no window; else when the last of those ends that follow one another from there on.

    None where they leave no gap, as far as is looked.
    """
    for _ in range(MOST_IN_A_ROW):
        end = next((end for one in closed if (end := one.end(at)) is not None), None)
        if end is None:
            return at
        at = end
    return None
