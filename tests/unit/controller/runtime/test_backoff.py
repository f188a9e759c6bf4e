"""What is tried again, over hours of a clock that is moved by hand."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from controller.runtime.backoff import REMEMBERED, Allowance, Pace, Tries, next_look

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def test_each_pause_is_twice_the_one_before_up_to_the_longest():
    pace = Pace(MINUTE, 15 * MINUTE)
    assert [pace.pause(tries) // MINUTE for tries in (0, 1, 2, 3, 4, 5, 6, 10**9)] == [1, 1, 2, 4, 8, 15, 15, 15]


def test_what_never_helps_is_tried_seldom_and_what_was_quiet_for_long_begins_anew():
    tries: Tries[str] = Tries(Pace(MINUTE, HOUR))
    done = []
    for second in range(0, 24 * 3600, 3):
        if tries.may("a", NOW + second * SECOND):
            tries.tried("a", NOW + second * SECOND, "in vain")
            done.append(second)
    assert done[:7] == [0, 60, 180, 420, 900, 1860, 3780]
    assert len(done) == 29
    later = NOW + 27 * HOUR
    assert tries.may("b", NOW)
    tries.tried("a", later)
    assert tries.next("a") == later + MINUTE


def test_a_series_that_was_forgotten_begins_anew():
    tries: Tries[str] = Tries(Pace(MINUTE, HOUR))
    tries.tried("a", NOW)
    tries.forget("a")
    assert tries.get("a") is None
    assert tries.may("a", NOW)


def test_old_series_are_not_kept_for_ever():
    tries: Tries[int] = Tries(Pace(SECOND, MINUTE))
    for number in range(500):
        tries.tried(number, NOW + number * MINUTE)
    assert len(tries._tried) < 5


def test_an_allowance_lets_a_burst_through_and_then_one_at_a_time():
    allowance: Allowance[str] = Allowance(10, MINUTE)
    taken = [second for second in range(0, 6 * 3600, 3) if allowance.take("a", NOW + second * SECOND)]
    assert taken[:10] == list(range(0, 30, 3))
    assert len(taken) <= 10 + 360
    assert min(later - earlier for earlier, later in itertools.pairwise(taken[10:])) >= 60
    assert allowance.take("b", NOW)


def test_an_allowance_remembers_what_has_been_used_up_alone():
    allowance: Allowance[int] = Allowance(2, MINUTE)
    for number in range(5 * REMEMBERED):
        allowance.take(number, NOW + number * SECOND)
    assert len(allowance._left) <= REMEMBERED + 1


def test_what_is_waited_for_is_looked_at_less_and_less_often():
    assert [next_look(waited * SECOND, 2, 30) for waited in (0, 20, 100, 300, 3600)] == [2, 2, 10, 30, 30]
