"""Schedule expressions: what the seed's table allows, and when they fire in a time zone.

Five fields (minutes, hours, day of month, month, day of week), or six with seconds first. If both day fields are
restricted, the schedule fires on days that match either: cron's rule. A field with `*`, `?` or `*/1` in it is not
restricted.

croniter does the calendar arithmetic. It never sees the user's text: its dialect differs (it takes 7, L and #, and
reads 0-0 as the whole range), so it gets every field as the list of its values. It never sees a time zone either:
it answers in local time, and gaps and folds are dealt with here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from croniter import croniter

from pgwarden.api.faults import Fault
from pgwarden.schedule.cron_fields import FIELDS, Values, parse_field
from pgwarden.schedule.zones import zone_of

_SECOND = timedelta(seconds=1)
#: 29 February is at most eight years away (1896 to 1904, 2096 to 2104). croniter searches no further than this.
_MOST_YEARS = 8
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


@dataclass(frozen=True)
class Schedule:
    """A parsed expression."""

    expression: str
    fields: tuple[Values, ...]  # seconds first

    def next_run(self, after: datetime, zone: str | ZoneInfo = "UTC") -> datetime:
        """The first run later than *after* (aware), in UTC.

        Runs in a gap of local time (clocks go forward) fire once, at its end. Runs in a fold (clocks go back) fire
        once, in its first pass.
        """
        where = zone if isinstance(zone, ZoneInfo) else zone_of(zone)
        return _moment(self._calendar.get_next(start_time=_wall(after, where)), where)

    def next_runs(self, after: datetime, zone: str | ZoneInfo = "UTC", count: int = 3) -> list[datetime]:
        runs = [self.next_run(after, zone)]
        while len(runs) < count:
            runs.append(self.next_run(runs[-1], zone))
        return runs

    @cached_property
    def _calendar(self) -> croniter:
        """Made late, because it costs more than parsing. It keeps the last time it was asked about, so each question
        passes its own. An unrestricted field stays `*`: as a list of all its values, a day field would restrict.
        """
        seconds, *others = [",".join(map(str, one.sorted)) if one.restricted else "*" for one in self.fields]
        return croniter(" ".join([*others, seconds]), ret_type=datetime, max_years_between_matches=_MOST_YEARS)


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
    never = _never(*parsed[3:])
    return [Fault(field, expression, never, "schedule")] if never else Schedule(expression, tuple(parsed))


def _shape_problem(words: list[str]) -> str:
    first = words[0].lower() if words else ""
    if first.startswith("@"):
        instead = _MACROS.get(first)
        hint = f'"{instead}"' if instead else "five or six fields"
        return f"macros such as @daily are not supported; write {hint}"
    if first.startswith(("tz=", "cron_tz=")):
        return "must not contain the time zone; set spec.timeZone"
    if len(words) not in {5, 6}:
        count = "1 field" if len(words) == 1 else f"{len(words)} fields"
        return f"has {count}; write five ({_FIVE}) or six (seconds first)"
    return ""


def _never(days: Values, months: Values, weekdays: Values) -> str:
    """Every month has every day of the week, but not every day of the month."""
    if weekdays.restricted and days.restricted:
        return ""
    first = days.sorted[0]
    if any(first <= _LONGEST[month - 1] for month in months.sorted):
        return ""
    return f"never fires: none of its months has a {first}{'st' if first == 31 else 'th'}"


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """Local time at *moment*, naive. In the second pass of a fold it is the fold's last second: all runs up to there
    have fired in the first pass.
    """
    local = moment.replace(microsecond=0).astimezone(zone)
    wall = local.replace(tzinfo=None, fold=0)
    if not local.fold:
        return wall
    second = local.astimezone(UTC)
    first = wall.replace(tzinfo=zone).astimezone(UTC)
    end_of_first = _change(first, second, zone) - _SECOND
    return end_of_first.astimezone(zone).replace(tzinfo=None, fold=0)


def _moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant of the local time *wall*: the first of two, or the end of the gap that it falls into."""
    early = wall.replace(tzinfo=zone).astimezone(UTC)
    if early.astimezone(zone).replace(tzinfo=None) == wall:
        return early
    # In a gap fold=0 reads the offset from before the change, which lands after it, and fold=1 the other way round.
    return _change(wall.replace(tzinfo=zone, fold=1).astimezone(UTC), early, zone)


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first second with the offset that *after* has and *before* has not."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + timedelta(seconds=(after - before) // _SECOND // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
