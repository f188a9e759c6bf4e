"""One field of a schedule expression: what the seed's table allows, and the messages for everything else."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import msgspec

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FOREIGN = (
    (re.compile(r".*#.*"), "the n-th such weekday"),
    (re.compile(r"[0-9]*L|[A-Z]{3}L", re.IGNORECASE), "the last"),
    (re.compile(r"[0-9]*L?W", re.IGNORECASE), "the nearest weekday"),
)
Problem = tuple[str, str]  # the part of the field, and what is wrong with it


class Field(msgspec.Struct, frozen=True):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()  # the first stands for `low`
    question_mark: bool = False

    @property
    def allowed(self) -> str:
        named = f" or {self.names[0]}-{self.names[-1]}" if self.names else ""
        marks = "* / , - ?" if self.question_mark else "* / , -"
        return f"allowed: {self.low}-{self.high}{named} and {marks}"


FIELDS = (
    Field("seconds", 0, 59),
    Field("minutes", 0, 59),
    Field("hours", 0, 23),
    Field("day of month", 1, 31, question_mark=True),
    Field("month", 1, 12, _MONTHS),
    Field("day of week", 0, 6, _WEEKDAYS, question_mark=True),
)


class _BadPartError(Exception):
    """One part of a field is wrong; the text says how."""


class Values(NamedTuple):
    """The values of a field, sorted; whether it restricts anything; the problems, part by part."""

    sorted: tuple[int, ...]
    restricted: bool
    problems: tuple[Problem, ...]


@lru_cache(maxsize=1024)
def parse_field(field: Field, text: str) -> Values:
    """Cached: most schedules share the same few fields."""
    values: set[int] = set()
    problems: list[Problem] = []
    parts = text.split(",")
    for part in parts:
        try:
            values |= _values(field, part, alone=len(parts) == 1)
        except _BadPartError as error:
            problems.append((part or text, str(error)))
    restricted = not any(part in {"*", "?", "*/1"} for part in parts)
    return Values(tuple(sorted(values)), restricted, tuple(dict.fromkeys(problems)))


def _values(field: Field, part: str, *, alone: bool) -> set[int]:
    if not part:
        raise _BadPartError(f"a value is missing next to a comma; {field.allowed}")
    if "?" in part:
        return _question_mark(field, part, alone=alone)
    span, slash, step_text = part.partition("/")
    low, high, is_range = _span(field, span)
    if not slash:
        return set(range(low, high + 1))
    if not is_range:
        upward = f"{span}-{field.high}/{step_text}"
        raise _BadPartError(f"a step needs a range or *: write {upward} or */{step_text or 'n'}")
    return set(range(low, high + 1, _step(field, step_text)))


def _question_mark(field: Field, part: str, *, alone: bool) -> set[int]:
    if not field.question_mark:
        raise _BadPartError(f"? is only for the two day fields; {field.allowed}")
    if part != "?" or not alone:
        raise _BadPartError("? must stand alone in its field; it means *")
    return set(range(field.low, field.high + 1))


def _span(field: Field, span: str) -> tuple[int, int, bool]:
    """First, last, and whether it may take a step."""
    if span == "*":
        return field.low, field.high, True
    first, dash, last = span.partition("-")
    low = _number(field, first)
    if not dash:
        return low, low, False
    high = _number(field, last)
    if low > high:
        around = f"{_from(low, field.high)},{_from(field.low, high)}"
        raise _BadPartError(f"a range must go up; write {around} or {high}-{low}")
    return low, high, True


def _from(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


def _step(field: Field, text: str) -> int:
    step = _digits(text)
    if step is None or not 1 <= step <= field.high:
        raise _BadPartError(f"a step must be a number from 1 to {field.high}; {field.allowed}")
    return step


def _number(field: Field, text: str) -> int:
    if text.isascii() and text.upper() in field.names:  # upper() turns some other letters into ASCII
        return field.names.index(text.upper()) + field.low
    number = _digits(text)
    if number is None:
        raise _BadPartError(_not_a_number(field, text))
    if number == 7 and field.name == "day of week":
        raise _BadPartError(f"Sunday is 0 or SUN, not 7; {field.allowed}")
    if not field.low <= number <= field.high:
        raise _BadPartError(f"{number} is out of range; {field.allowed}")
    return number


def _not_a_number(field: Field, text: str) -> str:
    if not text:
        return f"a number is missing; {field.allowed}"
    for mark, meaning in _FOREIGN:
        if mark.fullmatch(text):
            return f"{text} ({meaning}, in other crons) is not supported; {field.allowed}"
    if field.names and text.isalpha():
        return f"{text} is not one of {', '.join(field.names)}"
    return f"{text} is not valid; {field.allowed}"


def _digits(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None
