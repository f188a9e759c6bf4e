"""Schedule expressions: the seed's table, nothing more, and when they come round in a time zone.

Five fields (minutes, hours, day of month, month, day of week), or six with seconds first. Where both day fields are
restricted, a day on which either matches is due: cron's rule. A field is restricted unless `*`, `?` or `*/1` is in it.

The search is written here, not taken from croniter: that takes 7, L and #, reads 0-0 as the whole range,
and leaves gaps and folds to its caller. This one is exact: it walks days, then looks up the first time of day.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from pgwarden.api.faults import Fault
from pgwarden.schedule.cron_fields import FIELDS, Values, parse_field
from pgwarden.schedule.zones import zone_of

_SECOND, _DAY = timedelta(seconds=1), timedelta(days=1)
_A_MONTH = timedelta(days=31)  # from the first of one into the next
#: 29 February is at most eight years away (1896 to 1904, 2096 to 2104), and a month longer from inside one.
_MOST_DAYS = 366 * 9
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FIVE = ", ".join(f"{field.name} {field.low}-{field.high}" for field in FIELDS[1:])
_LONGEST_TEXT = 256  # characters
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class Schedule(msgspec.Struct, frozen=True):
    """A parsed expression. Values are sorted; days of week count from Sunday."""

    expression: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    days_restricted: bool
    weekdays_restricted: bool

    def next_run(self, after: datetime, zone: str | ZoneInfo = "UTC") -> datetime:
        """The first run later than *after* (aware), in UTC.

        A local time that a change to summer time skips comes once, at the end of the gap; one that a change back
        repeats comes once, the first time.
        """
        return self.next_runs(after, zone, 1)[0]

    def next_runs(self, after: datetime, zone: str | ZoneInfo = "UTC", count: int = 3) -> list[datetime]:
        where = zone if isinstance(zone, ZoneInfo) else zone_of(zone)
        local = after.astimezone(where).replace(tzinfo=None, fold=0)
        runs: list[datetime] = []
        for wall in self._walls(local):
            moment = _moment(wall, where)
            if moment > after:
                runs.append(moment)
                if len(runs) == count:
                    return runs
                after = moment
        raise ValueError(f"{self.expression} does not come round before the calendar ends")

    def matches_day(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if self.days_restricted and self.weekdays_restricted:
            return in_month or in_week
        return in_month and in_week

    def _walls(self, after: datetime) -> Iterator[datetime]:
        """Local times that match, later than *after*, in order; naive."""
        start = after.replace(microsecond=0) + _SECOND
        day, not_before = start.date(), start.time()
        fruitless = 0
        while fruitless < _MOST_DAYS:
            fruitless += 1
            if self.matches_day(day):
                for moment in self._times(not_before):
                    fruitless = 0
                    yield datetime.combine(day, moment)
            day = day + _DAY if day.month in self.months else (day.replace(day=1) + _A_MONTH).replace(day=1)
            not_before = time.min

    def _times(self, first: time) -> Iterator[time]:
        for hour in self.hours[bisect_left(self.hours, first.hour) :]:
            minute_from = first.minute if hour == first.hour else 0
            for minute in self.minutes[bisect_left(self.minutes, minute_from) :]:
                exact = hour == first.hour and minute == first.minute
                for second in self.seconds[bisect_left(self.seconds, first.second if exact else 0) :]:
                    yield time(hour, minute, second)


def parse(expression: object, field: str = "spec.schedule") -> Schedule | list[Fault]:
    """The schedule, or every fault in it."""
    if not isinstance(expression, str):
        shown = None if expression is None else f"({type(expression).__name__})"
        return [Fault(field, shown, 'must be a cron expression in quotes, such as "0 1 * * *"', "schedule")]
    if len(expression) > _LONGEST_TEXT:
        return [Fault(field, expression[:_LONGEST_TEXT], f"has more than {_LONGEST_TEXT} characters", "schedule")]
    words = expression.split()
    shape = _shape_problem(words)
    if shape:
        return [Fault(field, expression, shape, "schedule")]
    if len(words) == 5:
        words = ["0", *words]
    parsed = [parse_field(which, word) for which, word in zip(FIELDS, words, strict=True)]
    faults = [
        Fault(field, value, f"{which.name}: {message}", "schedule")
        for which, values in zip(FIELDS, parsed, strict=True)
        for value, message in values.problems
    ]
    if faults:
        return faults
    schedule = _schedule(expression, *parsed)
    never = _never(schedule)
    return [Fault(field, expression, never, "schedule")] if never else schedule


def _shape_problem(words: list[str]) -> str:
    first = words[0].lower() if words else ""
    if first.startswith("@"):
        instead = _MACROS.get(first)
        hint = f'; write "{instead}"' if instead else ""
        return f"names such as @daily are not known here{hint}"
    if first.startswith(("tz=", "cron_tz=")):
        return "a time zone is not part of the expression; set spec.timeZone"
    if len(words) not in {5, 6}:
        count = "1 field" if len(words) == 1 else f"{len(words)} fields"
        return f"has {count} instead of five ({_FIVE}) or six (with seconds first)"
    return ""


def _schedule(
    expression: str, seconds: Values, minutes: Values, hours: Values, days: Values, months: Values, weekdays: Values
) -> Schedule:
    return Schedule(
        expression=expression,
        seconds=seconds.sorted,
        minutes=minutes.sorted,
        hours=hours.sorted,
        days=days.set,
        months=months.set,
        weekdays=weekdays.set,
        days_restricted=days.restricted,
        weekdays_restricted=weekdays.restricted,
    )


def _never(schedule: Schedule) -> str:
    """Days of week come in every month; days of month do not."""
    if schedule.weekdays_restricted and schedule.days_restricted:
        return ""
    first = min(schedule.days)
    if any(first <= _LONGEST[month - 1] for month in schedule.months):
        return ""
    return f"never comes: no month that it names has a day {first}"


def _moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant of the local time *wall*: the first of two, or the end of the gap that it falls into."""
    early = wall.replace(tzinfo=zone).astimezone(UTC)
    if early.astimezone(zone).replace(tzinfo=None) == wall:
        return early
    # In a gap fold=0 reads the offset from before the change, which lands after it, and fold=1 the other way round.
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), early
    offset = after.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + timedelta(seconds=(after - before) // _SECOND // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
