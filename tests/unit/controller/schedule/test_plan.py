"""What is due and what was missed, over downtimes of any length."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controller.schedule import decide

NOW = datetime(2026, 11, 23, 10, 0, 30, tzinfo=UTC)


def every(step: timedelta):
    """A calendar with a run at each multiple of *step* since the epoch."""
    epoch = datetime(2026, 1, 1, tzinfo=UTC)
    return lambda after: epoch + step * ((after - epoch) // step + 1)


MINUTE = every(timedelta(minutes=1))
LATEST = NOW.replace(second=0)


def reasons(plan: decide.Plan) -> list[str]:
    return [one.reason.partition(":")[0] for one in plan.missed]


@pytest.mark.parametrize(
    ("since", "options", "due", "missed"),
    [
        (NOW - timedelta(seconds=10), {}, None, []),
        (LATEST, {}, None, []),
        (LATEST - timedelta(seconds=1), {}, LATEST, []),
        (LATEST - timedelta(minutes=3), {}, LATEST, ["CaughtUpByLaterRun"] * 2),
        (LATEST - timedelta(minutes=2), {"suspended": True}, None, ["Suspended"] * 2),
        (LATEST - timedelta(minutes=1), {"starting_deadline": 30}, LATEST, []),
        (LATEST - timedelta(minutes=1), {"starting_deadline": 29}, None, ["StartingDeadlineExceeded"]),
        (LATEST - timedelta(minutes=1), {"busy_with": "b"}, None, ["PreviousBackupNotOver"]),
        (LATEST - timedelta(minutes=2), {"busy_with": "b"}, None, ["CaughtUpByLaterRun", "PreviousBackupNotOver"]),
    ],
)
def test_at_most_the_latest_run_is_started_and_the_others_have_a_reason(since, options, due, missed):
    plan = decide.plan(MINUTE, since, NOW, **options)
    assert (plan.due, reasons(plan)) == (due, missed)
    assert plan.upcoming == LATEST + timedelta(minutes=1)
    assert all(one.why for one in plan.missed)


@pytest.mark.parametrize("step", [timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=7), timedelta(days=31)])
@pytest.mark.parametrize("away", [timedelta(minutes=2), timedelta(days=3), timedelta(days=400)])
def test_after_any_downtime_the_latest_run_is_found_in_few_steps(step, away):
    calendar, asked = every(step), 0

    def next_run(after):
        nonlocal asked
        asked += 1
        return calendar(after)

    plan = decide.plan(next_run, NOW - away, NOW)
    latest = calendar(NOW) - step
    assert plan.due == (latest if latest > NOW - away else None)
    assert plan.upcoming == calendar(NOW)
    assert asked < 400, "a long downtime is gone through run by run"


def test_a_calendar_that_has_ended_plans_nothing():
    assert decide.plan(lambda _: None, NOW - timedelta(days=1), NOW) == decide.Plan(None, (), None)


def test_the_newest_of_the_history_stay():
    finished = [("2026-11-23T10:00:00Z", "b"), ("2026-11-23T09:00:00Z", "a"), ("2026-11-23T11:00:00Z", "c")]
    assert decide.expendable(finished, 2) == ["a"]
    assert decide.expendable(finished, 0) == ["c", "b", "a"]
    assert decide.expendable(finished, 9) == []
