"""What a Restore's timeline must be, and what a schedule is told about its own pace."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.contract import produced
from tests.unit.rules.conftest import sets


@pytest.fixture
def two_timelines(hippo):
    """A full backup on timeline 2, an incremental one and the newest WAL on timeline 3."""
    hippo["status"] = produced.repository(sets(timelines=(2, 3)))["status"]


INCR = "20261101-000000F_20261110-000000I"
TIMELINES = [
    ("the first backup's", "2", None, ""),
    ("the newest", "0x3", None, ""),
    ("by its word", "latest", None, ""),
    ("of the backup", "current", INCR, ""),
    ("none is zero", "0", None, 'spec.targetTimeline: "0": is not a timeline; timelines start at 1'),
    ("not there yet", "4", None, 'spec.targetTimeline: "4": Repository hippo has no WAL on this timeline; the newest is 3 (latest)'),
    ("before all backups", "1", None, 'spec.targetTimeline: "1": all usable backups are on a later timeline (2 or higher), and recovery cannot go back'),
    ("before the chosen backup", "2", INCR, f'spec.targetTimeline: "2": backup {INCR} is on a later timeline (3 or higher), and recovery cannot go back'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("timeline", "chosen", "text"), [row[1:] for row in TIMELINES], ids=[row[0] for row in TIMELINES]
)
@pytest.mark.usefixtures("two_timelines")
def test_a_timeline_is_one_that_the_archive_has_and_a_backup_leads_to(make, refusal, timeline, chosen, text):
    spec = {"targetTimeline": timeline} | ({"set": chosen} if chosen else {})
    assert refusal(make("Restore", repository="hippo", **spec)) == text


def test_an_archive_that_is_not_known_refuses_no_timeline(make, refusal, hippo):
    hippo["status"] = {"phase": "Pending"}
    assert refusal(make("Restore", repository="hippo", targetTimeline="7")) == ""


@pytest.fixture
def slow(hippo):
    """Full backups of 90 minutes, incremental ones of 10 seconds."""
    full, incr = sets(took=timedelta(minutes=90))
    hippo["status"] = produced.repository([full, replace(incr, took=timedelta(seconds=10))])["status"]


PACES = [
    ("faster than a full", "0 * * * *", "full", "the schedule fires every 1h, but full backups of Repository hippo take up to 1h 30m: runs will overlap, and later ones will be skipped"),
    ("faster at times", "0,50 0,12 * * *", "full", "the schedule fires twice within 50m, but full backups of Repository hippo take up to 1h 30m: runs will overlap, and later ones will be skipped"),
    ("slower than a full", "0 */2 * * *", "full", ""),
    ("faster than an incr", "*/5 * * * * *", "incr", "the schedule fires every 5s, but incr backups of Repository hippo take up to 10s: runs will overlap, and later ones will be skipped"),
    ("slower than an incr", "* * * * *", "incr", ""),
    ("of a kind that was never made", "* * * * *", "diff", ""),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "kind", "text"), [row[1:] for row in PACES], ids=[row[0] for row in PACES])
@pytest.mark.usefixtures("slow")
def test_a_schedule_that_outruns_its_backups_is_told_so(make, judge, expression, kind, text):
    verdict = judge(make("BackupSchedule", repository="hippo", schedule=expression, options=[f"--type={kind}"]))
    assert verdict.faults == []
    assert [warning for warning in verdict.warnings if "the schedule fires" in warning] == ([text] if text else [])


@pytest.mark.usefixtures("slow")
def test_a_suspended_schedule_outruns_nothing(make, judge):
    obj = make("BackupSchedule", repository="hippo", schedule="* * * * *", type="full", suspend=True)
    assert not any("the schedule fires" in warning for warning in judge(obj).warnings)
