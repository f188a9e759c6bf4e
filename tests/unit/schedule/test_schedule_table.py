"""The seed's table of fields, values and special characters: what it has is taken, and what it has not is refused."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pgwarden.schedule import cron

MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
#: Field, first and last value, special characters, names: as the seed has them.
TABLE = [
    ("seconds", 0, 59, "*/,-", []),
    ("minutes", 0, 59, "*/,-", []),
    ("hours", 0, 23, "*/,-", []),
    ("day of month", 1, 31, "*/,-?", []),
    ("month", 1, 12, "*/,-", MONTHS),
    ("day of week", 0, 6, "*/,-?", DAYS),
]
FIELDS = [row[0] for row in TABLE]


def with_field(name: str, text: str) -> str:
    """Six fields, all of them good but for the one in question."""
    return " ".join(text if field == name else "1" for field in FIELDS)


def told(name: str, text: str) -> list[str]:
    """What is said against it; all of it must be of that field, but for an expression that begins as no field does."""
    parsed = cron.parse(with_field(name, text))
    if isinstance(parsed, cron.Schedule):
        return []
    whole = text.startswith("@") or "=" in text
    assert whole or all(fault.message.startswith(f"{name}: ") for fault in parsed)
    return [fault.message for fault in parsed]


def examples(mark: str, low: int, high: int) -> str:
    return {"*": "*", "/": "*/2", ",": f"{low},{high}", "-": f"{low}-{high}", "?": "?"}[mark]


@pytest.mark.parametrize("mark", "*/,-?")
@pytest.mark.parametrize(("name", "low", "high", "marks", "names"), TABLE, ids=FIELDS)
def test_a_special_character_is_taken_where_the_table_has_it_and_refused_elsewhere(name, low, high, marks, names, mark):
    assert (told(name, examples(mark, low, high)) == []) == (mark in marks)


@pytest.mark.parametrize("mark", "LW#@+.%~!H_")
@pytest.mark.parametrize("name", FIELDS)
def test_a_character_of_other_crons_is_refused_in_every_field(name, mark):
    assert told(name, mark)
    assert told(name, f"1{mark}")


@pytest.mark.parametrize(("name", "low", "high", "marks", "names"), TABLE, ids=FIELDS)
def test_every_value_in_the_range_is_taken_and_those_beside_it_are_refused(name, low, high, marks, names):
    assert [value for value in range(200) if not told(name, str(value))] == [*range(low, high + 1)]
    assert told(name, "-1")


@pytest.mark.parametrize("word", MONTHS + DAYS)
@pytest.mark.parametrize(("name", "low", "high", "marks", "names"), TABLE, ids=FIELDS)
def test_a_name_is_taken_in_its_own_field_in_any_case_and_refused_elsewhere(name, low, high, marks, names, word):
    for text in (word, word.lower(), word.capitalize()):
        assert (told(name, text) == []) == (word in names)


def table_has(name: str, text: str) -> bool:
    """The table once more, written another way: as a regular expression and comparisons."""
    _, low, high, marks, names = next(row for row in TABLE if row[0] == name)
    if text == "?":
        return "?" in marks

    def value(word: str) -> int:
        return names.index(word.upper()) + low if word.upper() in names else int(word)

    word = "|".join(["[0-9]{1,9}", *names])
    for part in text.split(","):
        found = re.fullmatch(rf"(?:(\*)|({word})(?:-({word}))?)(?:/([0-9]{{1,9}}))?", part, re.IGNORECASE | re.ASCII)
        if found is None:
            return False
        star, first, last, step = found.groups()
        if step and not (1 <= int(step) <= high and (star or last)):
            return False
        if not star and not low <= value(first) <= value(last or first) <= high:
            return False
    return True


NEAR = st.lists(
    st.one_of(
        st.sampled_from([*"*/,-?", "/", "-", ",", "0", "1", "5", "7", "12", "23", "31", "59", "60", *MONTHS[:2], *DAYS[:2]]),
        st.characters(exclude_categories=("Z", "C")),
    ),
    min_size=1,
    max_size=6,
).map("".join)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(name=st.sampled_from(FIELDS), text=NEAR)
@example(name="day of week", text="7")
@example(name="minutes", text="07")
@example(name="month", text="ſEP")  # upper() makes an S of the first letter
def test_what_the_table_forbids_is_refused_and_nothing_else(name, text):
    assert (told(name, text) == []) == table_has(name, text)


def values(text: str, low: int, high: int) -> list[int]:
    """Of a text that the table has."""
    found = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span in "*?" else span).partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return sorted(found)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    """Texts of a field that restrict it, without names."""
    spans = st.tuples(st.integers(low, high), st.integers(low, high)).map(lambda pair: f"{min(pair)}-{max(pair)}")
    steps = st.tuples(st.just("*") | spans, st.integers(2, high)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    return st.lists(st.integers(low, high).map(str) | spans | steps, min_size=1, max_size=2).map(",".join)


@settings(max_examples=150, deadline=None)
@given(
    texts=st.tuples(*(field(low, high) | st.just("*") for _, low, high, _, _ in TABLE)),
    start=st.integers(0, 7 * 365 * 86_400).map(
        lambda seconds: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    ),
)
def test_the_next_runs_of_six_fields_are_those_of_a_walk_over_the_calendar(texts, start):
    schedule = cron.parse(" ".join(texts))
    if isinstance(schedule, list):
        assert "never fires" in schedule[0].message
        assert next(walk(texts, start), None) is None
        return
    found = walk(texts, start)
    assert schedule.next_runs(start, count=4) == [next(found) for _ in range(4)]


def walk(texts, start):
    """Every moment that the six *texts* name, day by day, up to nine years ahead."""
    parts = [values(text, low, high) for text, (_, low, high, _, _) in zip(texts, TABLE, strict=True)]
    seconds, minutes, hours, days, months, weekdays = parts
    for offset in range(366 * 9):
        day = date(start.year, start.month, start.day) + timedelta(days=offset)
        in_month, in_week = day.day in days, day.isoweekday() % 7 in weekdays
        either = texts[3] != "*" and texts[5] != "*"
        if day.month in months and ((in_month or in_week) if either else (in_month and in_week)):
            moments = (datetime.combine(day, time(*clock, tzinfo=UTC)) for clock in product(hours, minutes, seconds))
            yield from (moment for moment in moments if moment > start)
