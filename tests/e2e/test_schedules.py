"""BackupSchedules: in five and in six fields they make the Backups that are due, no other and none twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from harness.kubectl import Kubectl, condition
from harness.objects import backup, protect, repository, schedule
from harness.postgres import Postgres
from pgwarden.api import names

KEPT_MISSED = 10  # that many a schedule lists
EVERY = timedelta(seconds=5)
QUARTER = timedelta(seconds=15)


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    found = protect(space, installed.postgres_image)
    space.apply(backup("base", "--type=full"))
    space.until("pgb", "base", over, "is over", 120)
    return found


@pytest.fixture(scope="module")
def minutely(postgres: Postgres, space: Kubectl) -> dict:
    """In five fields, beside the others: it fires while they are looked at."""
    space.apply(schedule("minutely", "* * * * *", type="diff"))
    return space.get("pgbs", "minutely")


@pytest.fixture(scope="module")
def quick(minutely: dict, space: Kubectl) -> dict:
    """In six fields, let run for some rounds, then suspended, with nothing of it running any more."""
    space.apply(schedule("quick", "*/5 * * * * *", successfulHistoryLimit=100))
    space.until("pgbs", "quick", lambda s: len(mine(space, "quick")) >= 3, "has made three Backups", 240)
    space.run("patch", "pgbs", "quick", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    space.until("pgbs", "quick", lambda s: s["status"].get("phase") == "Suspended", "is suspended", 30)
    return space.until("pgbs", "quick", lambda s: not s["status"].get("active"), "has nothing running", 240)


def test_a_schedule_in_six_fields_makes_a_backup_for_each_due_time_or_says_why_not(quick: dict, space: Kubectl):
    made = dues(mine(space, "quick"))
    assert len(made) == len(set(made)) >= 3
    missed = {moment(one["time"]): one["reason"] for one in quick["status"].get("missed", [])}
    assert not set(made) & set(missed)
    known = sorted({*made, *(time for time in missed if time <= made[-1])})
    expected = made[0] if len(missed) < KEPT_MISSED else min(missed)
    for due in (time for time in known if time >= expected):
        assert due == expected, f"nothing is known of the run scheduled for {expected}"
        expected += EVERY
    assert made[0] - moment(quick["metadata"]["creationTimestamp"]) <= EVERY


def test_a_scheduled_backup_is_named_after_its_due_time_and_completes(quick: dict, space: Kubectl):
    for one in mine(space, "quick"):
        due = moment(one["metadata"]["annotations"][names.ANNOTATION_DUE])
        assert one["metadata"]["name"] == f"quick-{due:%Y%m%d%H%M%S}"
        assert due.second % 5 == 0
        assert (one["status"]["phase"], one["status"]["type"]) == ("Completed", "incr"), one["status"]["message"]


def test_a_suspended_schedule_makes_nothing_and_says_so(quick: dict, space: Kubectl):
    before = dues(mine(space, "quick"))
    later = space.until(
        "pgbs", "quick", lambda s: passed_over(s) >= before[-1] + 2 * EVERY, "has let two runs pass", 60
    )
    assert dues(mine(space, "quick")) == before
    assert later["status"]["nextScheduleTimes"] == []
    assert condition(later, "Ready")["message"] == "spec.suspend is true: no runs start"
    assert later["status"]["lastBackup"] == f"quick-{before[-1]:%Y%m%d%H%M%S}"
    assert moment(later["status"]["lastScheduleTime"]) == before[-1]


def test_a_schedule_in_five_fields_fires_on_the_minute(minutely: dict, space: Kubectl):
    fired = space.until("pgbs", "minutely", lambda s: s["status"].get("lastSuccessfulTime"), "has a backup", 240)
    first = mine(space, "minutely")[0]
    due = moment(first["metadata"]["annotations"][names.ANNOTATION_DUE])
    created = moment(minutely["metadata"]["creationTimestamp"])
    assert due == created.replace(second=0) + timedelta(minutes=1)
    assert timedelta() <= moment(first["metadata"]["creationTimestamp"]) - due <= timedelta(seconds=3)
    assert first["status"]["type"] == "diff"
    following = [moment(time) for time in fired["status"]["nextScheduleTimes"]]
    assert following == [following[0] + timedelta(minutes=n) for n in range(3)]
    assert following[0] > moment(fired["status"]["lastScheduleTime"])


def test_a_repository_says_when_its_next_backup_is_due(minutely: dict, space: Kubectl):
    repository = space.until("pgrepo", "hippo", lambda r: r["status"].get("nextScheduledBackup"), "knows it", 60)
    assert moment(repository["status"]["nextScheduledBackup"]).second == 0


def test_a_schedule_goes_on_by_itself_when_its_repository_was_away(postgres: Postgres, space: Kubectl):
    """Longer than two of its runs. What it waits for is said meanwhile, and its next run is never in the past."""
    space.apply(schedule("steady", "*/15 * * * * *", successfulHistoryLimit=100))
    space.until("pgbs", "steady", lambda s: s["status"].get("lastSuccessfulTime"), "has a backup", 180)
    space.run("annotate", "pgrepo", "hippo", f"{names.ANNOTATION_DELETE_IN_USE}=true")
    space.delete("pgrepo", "hippo")
    gone = datetime.now(UTC)
    waits = space.until(
        "pgbs", "steady", lambda s: (upcoming(s) or gone) > gone + 3 * QUARTER, "has let two runs pass", 90
    )
    assert (waits["status"]["phase"], waits["status"]["reason"]) == ("Pending", "NoRepository")
    assert "there is no Repository hippo" in waits["status"]["message"]
    assert upcoming(waits) > datetime.now(UTC) - timedelta(seconds=3)
    assert not [due for due in dues(mine(space, "steady")) if due > gone]
    space.apply(repository())
    back = datetime.now(UTC)
    space.until("pgbs", "steady", lambda s: condition(s, "Ready")["status"] == "True", "goes on", 30)
    goes_on = space.until("pgbs", "steady", lambda s: ended(s) > back, "has a backup again", 240)
    assert goes_on["status"]["phase"] == "Active"
    assert upcoming(goes_on) > datetime.now(UTC) - timedelta(seconds=3)


def over(obj: dict) -> bool:
    return obj.get("status", {}).get("phase") in {"Completed", "Failed"}


def mine(space: Kubectl, name: str) -> list[dict]:
    return sorted(space.list("pgb", f"{names.LABEL_SCHEDULE}={name}"), key=lambda one: one["metadata"]["name"])


def dues(backups: list[dict]) -> list[datetime]:
    return [moment(one["metadata"]["annotations"][names.ANNOTATION_DUE]) for one in backups]


def upcoming(found: dict) -> datetime | None:
    """Its next run."""
    times = found.get("status", {}).get("nextScheduleTimes") or []
    return moment(times[0]) if times else None


def ended(found: dict) -> datetime:
    """When a Backup of it last Completed."""
    return moment(found["status"]["lastSuccessfulTime"])


def passed_over(found: dict) -> datetime:
    """The last run that was not started because of the suspension."""
    missed = [moment(one["time"]) for one in found["status"].get("missed", []) if one["reason"] == "Suspended"]
    assert len(missed) <= 1, "the suspended runs must not drive the others out of the list"
    return max(missed, default=datetime.min.replace(tzinfo=UTC))


def moment(time: str) -> datetime:
    return datetime.fromisoformat(time).astimezone(UTC)
