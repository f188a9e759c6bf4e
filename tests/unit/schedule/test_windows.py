"""Windows in which no backup begins, and what spread and windows make of a schedule's runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgwarden.api import duration
from pgwarden.api.kinds import BackupScheduleSpec, Window
from pgwarden.schedule import cron, next_runs, runs, windows
from pgwarden.schedule.runs import Runs

MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def closed(*listed: tuple[str, str], zone: str = "UTC") -> tuple[windows.Closed, ...]:
    return windows.read([Window(schedule=schedule, duration=length) for schedule, length in listed], zone)


WORK = ("0 8 * * 1-5", "10h")  # Monday to Friday, 8 to 18 o'clock


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-23 07:59:59", "2026-11-23 07:59:59"),
        ("2026-11-23 08:00", "2026-11-23 18:00"),
        ("2026-11-23 17:59:59", "2026-11-23 18:00"),
        ("2026-11-23 18:00", "2026-11-23 18:00"),
        ("2026-11-22 12:00", "2026-11-22 12:00"),
    ],
)
def test_a_window_lasts_from_its_beginning_to_just_before_its_end(now, opens):
    assert windows.opens(at(now), closed(WORK)) == at(opens)


def test_windows_that_follow_one_another_are_one():
    listed = closed(WORK, ("0 18 * * 1-5", "90m"), ("30 17 * * 5", "1d"))
    assert windows.opens(at("2026-11-23 09:00"), listed) == at("2026-11-23 19:30")
    assert windows.opens(at("2026-11-27 09:00"), listed) == at("2026-11-28 17:30")


def test_a_window_is_in_its_own_time_zone_also_when_the_clocks_change():
    listed = closed(("0 8 * * *", "1h"), zone="Europe/Zurich")
    assert windows.opens(at("2026-10-24 06:30"), listed) == at("2026-10-24 07:00")  # summer
    assert windows.opens(at("2026-10-26 06:30"), listed) == at("2026-10-26 06:30")
    assert windows.opens(at("2026-10-26 07:30"), listed) == at("2026-10-26 08:00")
    mixed = windows.read([Window(schedule="0 8 * * *", duration="1h", time_zone="Asia/Tokyo")], "Europe/Zurich")
    assert windows.opens(at("2026-11-22 23:15"), mixed) == at("2026-11-23 00:00")


def test_windows_without_a_gap_leave_no_time():
    assert windows.opens(at("2026-11-23 09:00"), closed(("* * * * *", "1m"))) is None


def test_what_is_no_window_is_left_out():
    bad = [("0 8 * *", "1h"), ("0 8 * * *", "soon"), ("0 8 * * *", "30s"), ("0 8 * * *", "32d")]
    assert closed(*bad) == ()
    assert windows.read([Window(schedule="0 8 * * *", duration="1h", time_zone="Zurich")], "UTC") == ()


EXPRESSIONS = st.sampled_from(["0 8 * * *", "*/30 6-9 * * *", "15 */5 * * *", "0 0 * * 1,4", "0 2 1 * *"])


@settings(max_examples=60, deadline=None)
@given(
    listed=st.lists(st.tuples(EXPRESSIONS, st.sampled_from(["1m", "30m", "3h"])), min_size=1, max_size=3),
    zone=st.sampled_from(["UTC", "Europe/Zurich", "America/New_York"]),
    minutes=st.integers(0, 60 * 24 * 10),
)
def test_a_moment_is_in_a_window_where_a_walk_over_its_beginnings_says_so(listed, zone, minutes):
    now, found = at("2026-10-20") + minutes * MINUTE, closed(*listed, zone=zone)

    def is_in(moment: datetime) -> bool:
        for one in found:
            begin = one.calendar.next_run(moment - timedelta(days=2), one.zone)
            while begin <= moment:
                if moment < begin + one.length:
                    return True
                begin = one.calendar.next_run(begin, one.zone)
        return False

    opens = windows.opens(now, found)
    assert opens is not None
    assert (opens == now) is not is_in(now)
    assert not is_in(opens)
    walk = now
    while walk < opens:
        assert is_in(walk)
        walk += 15 * MINUTE


def of(expression: str, *, uid: str = "u", **spec: object) -> Runs:
    wanted = BackupScheduleSpec(repository="hippo", schedule=expression, **spec)
    return runs.of(wanted, cron.parse(expression), uid)


def following(found: Runs, after: str, count: int) -> list[str]:
    now, times = at(after), []
    for _ in range(count):
        now = found.next_run(now)
        times.append(f"{now:%m-%d %H:%M}")
    return times


def test_runs_in_a_window_are_put_off_to_its_end_and_are_one():
    hourly = of("0 * * * *", not_during=[Window(schedule=WORK[0], duration=WORK[1])])
    assert following(hourly, "2026-11-23 06:30", 4) == ["11-23 07:00", "11-23 18:00", "11-23 19:00", "11-23 20:00"]
    at_nine = of("0 9 * * *", not_during=[Window(schedule=WORK[0], duration=WORK[1])])
    assert following(at_nine, "2026-11-27 00:00", 3) == ["11-27 18:00", "11-28 09:00", "11-29 09:00"]


def test_a_schedule_whose_windows_leave_no_time_has_no_runs():
    assert of("0 9 * * *", not_during=[Window(schedule="* * * * *", duration="1h")]).next_run(at("2026-11-23")) is None


def test_a_window_without_a_zone_is_in_the_schedules():
    found = of("0 9 * * *", time_zone="Europe/Zurich", not_during=[Window(schedule="0 8 * * *", duration="2h")])
    assert following(found, "2026-11-23 00:00", 1) == ["11-23 09:00"]  # 10 o'clock there


def test_a_spread_moves_all_runs_of_a_schedule_by_the_same_and_those_of_a_fleet_by_different_times():
    offsets = {runs.offset("1h", f"uid-{number}") for number in range(200)}
    assert len(offsets) > 150
    assert all(timedelta() <= one < timedelta(hours=1) for one in offsets)
    assert max(offsets) - min(offsets) > timedelta(minutes=50)
    found, plain = of("0 1 * * *", spread="1h", uid="a"), of("0 1 * * *")
    first, second = (at(f"2026-{text}") for text in following(found, "2026-11-23 00:00", 2))
    assert second - first == timedelta(days=1)
    assert (
        plain.next_run(at("2026-11-23"))
        <= found.next_run(at("2026-11-23"))
        == of("0 1 * * *", spread="1h", uid="a").next_run(at("2026-11-23"))
    )
    assert runs.offset("", "a") == timedelta()


def test_no_run_is_lost_or_made_twice_by_a_spread_however_often_it_is_looked():
    found = of("*/10 * * * *", spread="1d", uid="b", not_during=[Window(schedule="0 8 * * *", duration="3h")])
    walked, now = [], at("2026-11-23")
    while now < at("2026-11-24 12:00"):
        due = found.next_run(walked[-1] if walked else at("2026-11-23"))
        if due <= now:
            walked.append(due)
        else:
            now += 7 * MINUTE
    outside = [one for one in walked if not at("2026-11-23 08:00") <= one < at("2026-11-23 11:00")]
    assert walked == outside == sorted(set(walked))
    gaps = {later - one for one, later in pairwise(walked)}
    assert max(gaps) > timedelta(hours=3)
    assert sorted(gaps)[-3] <= 10 * MINUTE


def test_the_next_runs_that_are_told_are_those_after_spread_and_windows():
    found = of("0 9 * * 1-5", not_during=[Window(schedule=WORK[0], duration=WORK[1])])
    told = next_runs.next_runs(found, at("2026-11-23"), 3)
    assert told.text == "Mon 2026-11-23 18:00, Tue 2026-11-24 18:00, Wed 2026-11-25 18:00"
    plain = Runs(cron.parse("0 9 * * 1-5"), ZoneInfo("UTC"))
    assert next_runs.next_runs(plain, at("2026-11-23"), 1).text == "Mon 2026-11-23 09:00"
    never = Runs(cron.parse("0 9 * * *"), ZoneInfo("UTC"), closed=closed(("* * * * *", "1h")))
    assert next_runs.next_runs(never, at("2026-11-23"), 3).runs == ()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45), ("30m", 1800), ("10h", 36000), ("1h30m", 5400), ("2d", 172800), ("1d2h3m4s", 93784), ("0s", 0)],
)
def test_lengths_of_time_are_read_as_kubernetes_writes_them(text, seconds):
    assert duration.parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "10", "h", "1h ", "1.5h", "30m1h", "-1h", "1w", "٣h", "1h\n"])
def test_other_texts_are_no_length_of_time(text):
    assert duration.parse(text) is None
