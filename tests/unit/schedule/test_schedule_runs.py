"""When an accepted expression fires, in its time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgwarden.schedule import cron, next_runs
from pgwarden.schedule.runs import Runs


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def runs(expression: str, after: str, zone: str = "UTC", count: int = 3) -> list[str]:
    schedule = cron.parse(expression)
    assert isinstance(schedule, cron.Schedule), schedule
    return [f"{run:%Y-%m-%d %H:%M:%S}" for run in schedule.next_runs(moment(after), zone, count)]


EXAMPLES = [
    (
        "once a day at one, as in the seed",
        "0 1 * * *",
        "2026-11-23 01:00",
        ["2026-11-24 01:00:00", "2026-11-25 01:00:00"],
    ),
    (
        "every three hours, as in the seed",
        "0 */3 * * *",
        "2026-11-23 20:00",
        ["2026-11-23 21:00:00", "2026-11-24 00:00:00"],
    ),
    ("seconds first of six", "30 0 1 * * *", "2026-11-23 00:00", ["2026-11-23 01:00:30", "2026-11-24 01:00:30"]),
    ("names in any case", "0 0 ? feb-Mar sun", "2026-11-23", ["2027-02-07 00:00:00", "2027-02-14 00:00:00"]),
    ("a question mark means any", "0 0 1 * ?", "2026-11-23", ["2026-12-01 00:00:00", "2027-01-01 00:00:00"]),
    ("a range with a step", "10-30/10 4 * * *", "2026-11-23", ["2026-11-23 04:10:00", "2026-11-23 04:20:00"]),
    ("a list", "0 6,18 * * *", "2026-11-23", ["2026-11-23 06:00:00", "2026-11-23 18:00:00"]),
    ("both day fields: either", "0 0 1 * MON", "2026-11-30", ["2026-12-01 00:00:00", "2026-12-07 00:00:00"]),
    ("a whole range restricts", "0 0 1-31 * MON", "2026-11-23", ["2026-11-24 00:00:00", "2026-11-25 00:00:00"]),
    ("a whole week restricts", "0 0 1 * 0-6", "2026-11-23", ["2026-11-24 00:00:00", "2026-11-25 00:00:00"]),
    (
        "a range of one value is that value",
        "5-5 1-1 * * *",
        "2026-11-23",
        ["2026-11-23 01:05:00", "2026-11-24 01:05:00"],
    ),
    ("every one does not restrict", "0 0 */1 * MON", "2026-11-23", ["2026-11-30 00:00:00", "2026-12-07 00:00:00"]),
    ("29 February", "0 0 29 2 *", "2026-11-23", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
    ("29 February over 2100", "0 0 29 2 *", "2096-02-29", ["2104-02-29 00:00:00", "2108-02-29 00:00:00"]),
    ("the 31st skips short months", "0 0 31 * *", "2026-11-23", ["2026-12-31 00:00:00", "2027-01-31 00:00:00"]),
    ("30 February or a Monday", "0 0 30 2 MON", "2026-11-23", ["2027-02-01 00:00:00", "2027-02-08 00:00:00"]),
    ("more spaces", " 0   1\t* * * ", "2026-11-23", ["2026-11-23 01:00:00", "2026-11-24 01:00:00"]),
]


@pytest.mark.parametrize(
    ("expression", "after", "expected"), [row[1:] for row in EXAMPLES], ids=[row[0] for row in EXAMPLES]
)
def test_an_expression_fires_when_cron_says(expression, after, expected):
    assert runs(expression, after, count=2) == expected


CHANGES = [
    (
        "a run in the gap fires right after it",
        "30 2 * * *",
        "Europe/Zurich",
        "2026-03-28 12:00",
        ["2026-03-29 01:00:00", "2026-03-30 00:30:00"],
    ),
    (
        "several in the gap fire once",
        "*/20 2 * * *",
        "Europe/Zurich",
        "2026-03-28 12:00",
        ["2026-03-29 01:00:00", "2026-03-30 00:00:00"],
    ),
    (
        "a run in the fold fires once, the first time",
        "30 2 * * *",
        "Europe/Zurich",
        "2026-10-24 12:00",
        ["2026-10-25 00:30:00", "2026-10-26 01:30:00"],
    ),
    (
        "in the second pass it is over",
        "30 2 * * *",
        "Europe/Zurich",
        "2026-10-25 01:10",
        ["2026-10-26 01:30:00", "2026-10-27 01:30:00"],
    ),
    (
        "in the second pass every run is over",
        "* * * * *",
        "Europe/Zurich",
        "2026-10-25 01:10",
        ["2026-10-25 02:00:00", "2026-10-25 02:01:00"],
    ),
    (
        "the last run of the first pass",
        "* * * * *",
        "Europe/Zurich",
        "2026-10-25 00:58",
        ["2026-10-25 00:59:00", "2026-10-25 02:00:00"],
    ),
    (
        "a gap of half an hour",
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-03 12:00",
        ["2026-10-03 15:30:00", "2026-10-04 15:15:00"],
    ),
    (
        "a day that was skipped",
        "0 12 30 12 *",
        "Pacific/Apia",
        "2011-12-29 00:00",
        ["2011-12-30 10:00:00", "2012-12-29 22:00:00"],
    ),
    (
        "a gap at midnight",
        "0 0 * * *",
        "America/Sao_Paulo",
        "2018-11-03 12:00",
        ["2018-11-04 03:00:00", "2018-11-05 02:00:00"],
    ),
]


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES]
)
def test_a_change_of_the_clocks_neither_loses_nor_doubles_a_run(expression, zone, after, expected):
    assert runs(expression, after, zone, count=2) == expected


def test_a_run_is_later_than_now_even_within_its_own_second():
    schedule = cron.parse("0 1 * * *")
    due = datetime(2026, 11, 24, 1, tzinfo=UTC)
    assert schedule.next_run(due - timedelta(microseconds=1)) == due
    assert schedule.next_run(due) == due + timedelta(days=1)


def test_a_schedule_answers_the_same_whatever_it_was_asked_before():
    schedule, early, late = cron.parse("0 1 * * *"), moment("2026-11-23"), moment("2028-02-29")
    assert schedule.next_run(early) == moment("2026-11-23 01:00")
    assert schedule.next_run(late, "Asia/Tokyo") == moment("2028-02-29 16:00")
    assert schedule.next_run(early) == moment("2026-11-23 01:00")


def test_an_unknown_zone_is_an_error_that_names_it():
    with pytest.raises(ValueError, match="Mars/Olympus: is not an IANA time zone"):
        cron.parse("0 1 * * *").next_run(datetime.now(UTC), "Mars/Olympus")


@st.composite
def fields(draw, low: int, high: int):
    """The text of a field and, found without the parser, the values it stands for."""
    parts, values = [], set()
    for _ in range(draw(st.integers(1, 2))):
        first = draw(st.integers(low, high))
        last = draw(st.integers(first, high))
        step = draw(st.integers(1, high))
        part, meant = draw(
            st.sampled_from(
                [
                    (f"{first}", {first}),
                    (f"{first}-{last}", set(range(first, last + 1))),
                    (f"{first}-{last}/{step}", set(range(first, last + 1, step))),
                    (f"*/{step}", set(range(low, high + 1, step))),
                ]
            )
        )
        parts.append(part)
        values |= meant
    return ",".join(parts), values


#: Each with a change of the clocks in the three days from the date on.
CLOCKS = [
    ("Europe/Zurich", date(2026, 3, 28)),
    ("Europe/Zurich", date(2026, 10, 24)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 10, 2)),
    ("Australia/Lord_Howe", date(2026, 4, 3)),
    ("Pacific/Apia", date(2011, 12, 29)),
    ("America/Sao_Paulo", date(2018, 11, 3)),
    ("UTC", date(2026, 11, 23)),
]


def brute_force(minutes: set[int], hours: set[int], zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Walks minute by minute, forward in real time, and looks at the clock on the wall."""
    found, minute = [], timedelta(minutes=1)
    now, before = start + minute, start.astimezone(zone).replace(tzinfo=None, fold=0)
    newest = before
    while now <= end:
        wall = now.astimezone(zone).replace(tzinfo=None, fold=0)
        skipped = [newest + minute * n for n in range(1, (wall - newest) // minute + 1)]
        if any(one.minute in minutes and one.hour in hours for one in skipped):
            found.append(now)
        newest = max(newest, wall)
        now += minute
    return found


@settings(max_examples=120, deadline=None)
@given(minute=fields(0, 59), hour=fields(0, 23), clock=st.sampled_from(CLOCKS))
def test_every_run_around_a_change_of_the_clocks_is_the_one_that_a_walk_finds(minute, hour, clock):
    name, day = clock
    zone = ZoneInfo(name)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    end = start + timedelta(days=3)
    schedule = cron.parse(f"{minute[0]} {hour[0]} * * *")
    found, after = [], start
    while (after := schedule.next_run(after, zone)) <= end:
        found.append(after)
    assert found == brute_force(minute[1], hour[1], zone, start, end)


@settings(max_examples=150, deadline=None)
@given(
    day=st.none() | fields(1, 31),
    month=fields(1, 12),
    week=st.none() | fields(0, 6),
    start=st.dates(date(2020, 1, 1), date(2100, 1, 1)),
)
def test_every_due_day_is_the_one_that_the_calendar_has(day, month, week, start):
    expression = f"0 0 {day[0] if day else '*'} {month[0]} {week[0] if week else '?'}"
    schedule = cron.parse(expression)
    if isinstance(schedule, list):
        assert "never fires" in schedule[0].message
        assert not _days(start, 366 * 9, day, month[1], week)
        return
    after = datetime(start.year, start.month, start.day, tzinfo=UTC)
    expected = _days(start, 800, day, month[1], week)
    found = []
    while (after := schedule.next_run(after)).date() <= start + timedelta(days=800):
        found.append(after.date())
    assert found == expected


def _days(start, count, day, months, week):
    """The days after *start* that match."""
    found = []
    for one in (start + timedelta(days=n) for n in range(1, count + 1)):
        # "*/1" among the parts is every value, and no restriction.
        of_month = day is not None and "*/1" not in day[0].split(",")
        of_week = week is not None and "*/1" not in week[0].split(",")
        hits = ([one.day in day[1]] if of_month else []) + ([one.isoweekday() % 7 in week[1]] if of_week else [])
        if one.month in months and (not hits or any(hits)):
            found.append(one)
    return found


def test_ten_thousand_schedules_are_looked_up_in_a_moment():
    """A bound against a search that walks seconds; it is not a measurement."""
    schedule = cron.parse("0 0 29 2 *")
    after, started = datetime(2096, 3, 1, tzinfo=UTC), datetime.now(UTC)
    for _ in range(20):
        schedule.next_run(after)
    assert datetime.now(UTC) - started < timedelta(seconds=2)


PARTS = st.sampled_from(["0", "30", "*/15", "15-45/10"])
HOURS = st.sampled_from(["*", "1-3", "2", "0-23/5"])


@settings(max_examples=200, deadline=None)
@given(
    expression=st.builds(lambda minutes, hours: f"{minutes} {hours} * * *", PARTS, HOURS),
    zone=st.sampled_from(["UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe"]),
    start=st.sampled_from(["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"]),
    offsets=st.lists(st.integers(-200_000, 200_000), min_size=2, max_size=8),
    count=st.sampled_from([3, 8]),
)
def test_the_next_runs_that_are_cached_are_those_that_would_be_found(expression, zone, start, offsets, count):
    """At any moment, forwards and backwards, around changes to and from summer time."""
    schedule = cron.parse(expression)
    for seconds in offsets:
        now = moment(start) + timedelta(seconds=seconds, microseconds=seconds % 3)
        found = next_runs.next_runs(Runs(schedule, ZoneInfo(zone)), now, count)
        assert list(found.runs) == schedule.next_runs(now, zone, count)
        assert found.since <= now < found.runs[0]


def test_a_run_that_is_due_is_no_longer_next():
    schedule = Runs(cron.parse("0 1 * * *"), ZoneInfo("UTC"))
    before, due = moment("2026-11-23 00:59:59"), moment("2026-11-23 01:00:00")
    assert next_runs.next_runs(schedule, before, 3).text.startswith("Mon 2026-11-23 01:00,")
    assert next_runs.next_runs(schedule, due, 3).text.startswith("Tue 2026-11-24 01:00,")
    assert next_runs.next_runs(schedule, before, 3).text.startswith("Mon 2026-11-23 01:00,")


def test_runs_that_are_cached_cost_no_calendar():
    now = moment("2026-11-23")
    first, again = cron.parse("7 1 * * *"), cron.parse("7 1 * * *")
    told = [next_runs.next_runs(Runs(one, ZoneInfo("UTC")), now, 3) for one in (first, again)]
    assert told[0] == told[1]
    assert ("_calendar" in vars(first), "_calendar" in vars(again)) == (True, False)


def test_only_so_many_schedules_are_cached():
    for minute in range(60):
        for hour in range(6):
            calendar = cron.parse(f"{minute} {hour} * * *")
            next_runs.next_runs(Runs(calendar, ZoneInfo("UTC")), moment("2026-11-23"), 3)
    assert len(next_runs._cache) == next_runs._CACHED
