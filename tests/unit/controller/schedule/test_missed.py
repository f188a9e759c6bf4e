"""Runs that were not started: why, in words, and which of them are listed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from controller.schedule import decide
from controller.schedule.reconcile import KEPT_MISSED, _listed, _since
from pgwarden.api import names

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def minutely(after: datetime) -> datetime:
    return after.replace(second=0) + MINUTE


def test_a_run_behind_one_that_is_not_over_says_which():
    plan = decide.plan(minutely, NOON, NOON + MINUTE, busy_with="nightly-1")
    assert plan.due is None
    assert [one.why for one in plan.missed] == ["Backup nightly-1 of an earlier run had not finished"]


def test_of_several_runs_the_last_is_started_and_the_others_say_so():
    plan = decide.plan(minutely, NOON, NOON + 3 * MINUTE)
    assert plan.due == NOON + 3 * MINUTE
    assert [(one.time, one.why) for one in plan.missed] == [
        (NOON + n * MINUTE, "a later run took its place") for n in (1, 2)
    ]


def test_a_run_that_is_too_late_names_the_field():
    plan = decide.plan(minutely, NOON, NOON + 1.5 * MINUTE, starting_deadline=10)
    assert plan.due is None
    assert plan.missed[0].why == "it was more than 10 s late (spec.startingDeadlineSeconds)"


def test_a_long_suspension_leaves_one_line_and_the_others_their_place():
    real = decide.Missed(NOON, "PreviousBackupNotOver:x", "")
    listed = _listed([], (real,))
    for n in range(1, 50):
        listed = _listed(listed, (decide.Missed(NOON + n * MINUTE, "Suspended", ""),))
    assert [one["reason"] for one in listed] == ["PreviousBackupNotOver:x", "Suspended"]
    assert listed[-1]["time"] == "2026-11-23T12:49:00Z"


def test_the_newest_are_listed():
    missed = tuple(decide.Missed(NOON + n * MINUTE, "CaughtUpByLaterRun", "") for n in range(20))
    listed = _listed([], missed)
    assert len(listed) == KEPT_MISSED
    assert listed[-1]["time"] == "2026-11-23T12:19:00Z"


def test_a_schedule_that_comes_back_with_status_and_backups_catches_up_with_nothing_from_before():
    created = "2026-11-28T12:00:00Z"
    old = {"metadata": {"creationTimestamp": created, "annotations": {names.ANNOTATION_DUE: "2026-11-20T01:00:00Z"}}}
    status = {"lastScheduleTime": "2026-11-20T01:00:00Z", "missed": [{"time": "2026-11-19T01:00:00Z", "reason": "x"}]}
    schedule = {"metadata": {"creationTimestamp": created}, "status": status}
    assert _since(schedule, [old]) == datetime.fromisoformat(created)
