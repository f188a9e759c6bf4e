"""A schedule whose Repository is away: it waits, says for what, and goes on by itself. The clock is set."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from controller.schedule.reconcile import ScheduleController
from pgwarden.kube import errors
from tests.unit.controller.living import World, condition

KEY = ("ns", "nightly")
MINUTE = 60


class Minutely(World):
    """A schedule that is due each minute, looked at as its queue would: when its timer says, or when it is woken."""

    def __init__(self, **spec) -> None:
        super().__init__()
        self.make("Repository", "hippo", storageType="local")
        self.make("BackupSchedule", "nightly", **spec)
        self.controller = ScheduleController(self.context)
        self.again: float | None = None

    async def look(self) -> dict:
        self.again = await self.controller.reconcile(KEY)
        return self.status("BackupSchedule", "nightly")

    async def through(self, seconds: float) -> int:
        """Let time pass; how often it was looked at."""
        until, looks = self.now.timestamp() + seconds, 0
        while self.again is not None and self.now.timestamp() + self.again <= until:
            self.tick(self.again)
            await self.look()
            looks += 1
            upcoming = self.status("BackupSchedule", "nightly").get("nextScheduleTimes")
            assert not upcoming or datetime.fromisoformat(upcoming[0]) > self.now, "its next run is in the past"
        self.now = datetime.fromtimestamp(until, UTC)
        return looks

    @property
    def runs(self) -> list[str]:
        return sorted(obj["metadata"]["annotations"]["pgwarden.io/due"][11:16] for obj in self.of("backups"))

    def end(self) -> None:
        for obj in self.of("backups"):
            obj["status"] = {"phase": "Completed"}
            obj["metadata"]["resourceVersion"] += "e"
        self.sync()


async def test_it_waits_says_for_what_and_starts_what_is_owed_when_its_repository_is_back():
    world = Minutely()
    await world.look()
    await world.through(MINUTE)
    assert world.runs == ["12:01"]
    world.end()
    world.remove("Repository", "hippo")
    await world.look()
    await world.through(3 * MINUTE)
    status = world.status("BackupSchedule", "nightly")
    assert (status["phase"], status["reason"]) == ("Pending", "NoRepository")
    assert "there is no Repository hippo" in status["message"]
    assert "the run due 2026-11-23T12:04:00Z starts once this is resolved" in status["message"]
    assert condition(status, "Ready")["status"] == "False"
    assert condition(status, "Ready")["message"] == status["message"]
    assert status["nextScheduleTimes"][0] == "2026-11-23T12:05:00Z"
    assert world.runs == ["12:01"]
    world.make("Repository", "hippo", storageType="local")
    status = await world.look()
    assert world.runs == ["12:01", "12:04"]
    assert [one["reason"] for one in status["missed"]] == ["CaughtUpByLaterRun"] * 2
    assert (status["phase"], status["reason"]) == ("Active", "Scheduled")
    assert status["nextScheduleTimes"][0] == "2026-11-23T12:05:00Z"


async def test_what_waits_is_looked_at_with_growing_pauses_and_written_only_when_something_changes():
    world = Minutely(schedule="0 3 * * *")
    await world.look()
    world.remove("Repository", "hippo")
    await world.look()
    writes = world.writes
    assert world.again == 2.0
    looks = await world.through(8 * 3600)
    assert world.again == 60.0
    assert 8 * 60 <= looks < 8 * 60 + 60
    assert world.writes == writes, "a look that found nothing new has written"
    assert len([text for _, _, text in world.told if "there is no Repository" in text]) == 1


@pytest.mark.parametrize(
    ("deadline", "runs", "missed"),
    [(30, [], ["CaughtUpByLaterRun", "StartingDeadlineExceeded"]), (90, ["12:02"], ["CaughtUpByLaterRun"])],
    ids=["too late by then", "still in time"],
)
async def test_what_is_owed_is_started_only_within_its_deadline(deadline, runs, missed):
    world = Minutely(startingDeadlineSeconds=deadline)
    world.remove("Repository", "hippo")
    await world.look()
    await world.through(2 * MINUTE + 40)
    world.make("Repository", "hippo", storageType="local")
    status = await world.look()
    assert world.runs == runs
    assert [one["reason"] for one in status["missed"]] == missed


async def test_a_schedule_that_comes_before_its_repository_waits_for_it():
    world = Minutely()
    world.remove("Repository", "hippo")
    assert (await world.look())["phase"] == "Pending"
    world.make("Repository", "hippo", storageType="local")
    assert (await world.look())["phase"] == "Active"


async def test_a_repository_that_is_being_deleted_is_no_repository():
    world = Minutely()
    world.there("Repository", "hippo")["metadata"] |= {
        "deletionTimestamp": "2026-11-23T12:00:30Z",
        "resourceVersion": "d",
    }
    world.sync()
    await world.look()
    await world.through(MINUTE)
    assert world.runs == []
    assert world.status("BackupSchedule", "nightly")["reason"] == "RepositoryGoing"


async def test_a_storage_that_the_repository_does_not_have_is_waited_for():
    world = Minutely(storage="s3")
    assert (await world.look())["reason"] == "StorageMissing"
    s3 = {"bucket": "b-b", "endpoint": "e", "region": "r", "credentialsSecretRef": {"name": "s"}}
    world.change("Repository", "hippo", storageType="local,s3", s3=s3)
    assert (await world.look())["phase"] == "Active"


async def test_a_suspended_schedule_says_that_it_is_suspended_whatever_it_would_wait_for():
    world = Minutely(suspend=True)
    world.remove("Repository", "hippo")
    await world.look()
    await world.through(2 * MINUTE)
    status = world.status("BackupSchedule", "nightly")
    assert (status["phase"], status["nextScheduleTimes"]) == ("Suspended", [])
    world.change("BackupSchedule", "nightly", suspend=False)
    assert (await world.look())["reason"] == "NoRepository"


async def test_a_failed_one_of_an_earlier_version_goes_on():
    """It called that final: condition Rejected, phase Failed, and a next run in the past."""
    world = Minutely()
    rejected = {
        "type": "Rejected",
        "status": "True",
        "reason": "InvalidSpec",
        "message": "there is no Repository hippo",
    }
    rejected |= {"observedGeneration": 1, "lastTransitionTime": "2026-11-23T11:00:00Z"}
    world.there("BackupSchedule", "nightly")["status"] = {
        "phase": "Failed", "observedGeneration": 1, "conditions": [rejected], "nextScheduleTimes": ["2026-11-23T11:01:00Z"],
    }  # fmt: skip
    world.there("BackupSchedule", "nightly")["metadata"]["resourceVersion"] += "x"
    world.sync()
    status = await world.look()
    assert (status["phase"], status["nextScheduleTimes"][0]) == ("Active", "2026-11-23T12:01:00Z")
    assert condition(status, "Rejected") == {}


REFUSED = errors.Invalid(422, "Invalid", "spec.repository: there is no Repository hippo")
DOWN = errors.ApiError(500, "InternalError", "failed calling webhook")


@pytest.mark.parametrize("error", [REFUSED, DOWN], ids=["the webhook refuses", "no webhook answers"])
async def test_a_run_whose_backup_cannot_be_created_says_so_and_is_started_later(error):
    world = Minutely()
    await world.look()
    world.tick(2 * MINUTE)
    world.refusing = error
    status = await world.look()
    assert (status["phase"], status["reason"]) == ("Pending", "BackupNotCreated")
    assert (
        f"the run scheduled for 2026-11-23T12:02:00Z could not create its Backup: {error.message}" in status["message"]
    )
    assert status["nextScheduleTimes"][0] == "2026-11-23T12:03:00Z"
    assert world.again == 2.0
    await world.through(30)
    world.refusing = None
    status = await world.look()
    assert world.runs == ["12:02"]
    assert (status["phase"], len(status["missed"])) == ("Active", 1)
    assert len([text for _, _, text in world.told if "was skipped" in text]) == 1


@pytest.mark.parametrize(
    ("field", "value"), [("schedule", "0 25 * * *"), ("timeZone", "Zurich"), ("options", ["--proces-max=4"])]
)
async def test_what_is_wrong_with_the_schedule_itself_is_final_and_leaves_no_next_run(field, value):
    world = Minutely()
    await world.look()
    world.change("BackupSchedule", "nightly", **{field: value})
    status = await world.look()
    assert world.again is None
    assert (status["phase"], status["reason"], status["nextScheduleTimes"]) == ("Failed", "InvalidSpec", [])
    assert f"spec.{field}" in status["message"]
    assert condition(status, "Ready")["status"] == "False"
    world.change("BackupSchedule", "nightly", schedule="* * * * *", timeZone="UTC", options=[])
    assert (await world.look())["phase"] == "Active"


async def test_a_schedule_that_a_newer_rule_refuses_goes_on_and_says_so(monkeypatch):
    world = Minutely()
    await world.look()
    monkeypatch.setattr("pgwarden.rules.timing.check_zone", lambda case: case.refuse("spec", 1, "newer", "n"))
    controller = ScheduleController(world.context)
    world.controller = controller
    await world.look()
    await world.through(MINUTE)
    status = world.status("BackupSchedule", "nightly")
    assert world.runs == ["12:01"]
    assert (status["phase"], status["reason"], status["message"]) == ("Degraded", "NoLongerValid", "spec: 1: newer")
    assert condition(status, "Rejected")["status"] == "True"
    assert condition(status, "Ready")["status"] == "True"
    monkeypatch.undo()
    world.controller = ScheduleController(world.context)
    status = await world.look()
    assert (status["phase"], condition(status, "Rejected")) == ("Active", {})


@pytest.mark.parametrize("first", ["the rule", "the Repository"])
async def test_a_schedule_that_a_newer_rule_refuses_waits_for_its_repository_and_goes_on(monkeypatch, first):
    world = Minutely()
    await world.look()

    async def newer_rule():
        monkeypatch.setattr("pgwarden.rules.timing.check_zone", lambda case: case.refuse("spec", 1, "newer", "n"))
        world.controller = ScheduleController(world.context)
        await world.look()

    if first == "the rule":
        await newer_rule()
    world.remove("Repository", "hippo")
    await world.look()
    if first == "the Repository":
        await newer_rule()
    await world.through(2 * MINUTE)
    status = world.status("BackupSchedule", "nightly")
    assert (status["phase"], status["reason"]) == ("Pending", "NoRepository")
    rejected = condition(status, "Rejected")
    assert (rejected["reason"], rejected["message"]) == ("NoLongerValid", "spec: 1: newer")
    world.make("Repository", "hippo", storageType="local")
    status = await world.look()
    assert (status["phase"], status["reason"]) == ("Degraded", "NoLongerValid")
    assert world.runs == ["12:02"]


@pytest.mark.parametrize("due", ["zzz", "2026-11-28T00:00:00", "9999-12-31T00:00:00Z", "0999-01-01T00:00:00Z"])
async def test_a_backup_that_names_no_time_of_a_run_stops_no_schedule(due):
    world = Minutely()
    await world.look()
    await world.through(MINUTE)
    world.end()
    labels = {"pgwarden.io/schedule": "nightly"}
    world.make("Backup", "stray")["metadata"] |= {"labels": labels, "annotations": {"pgwarden.io/due": due}}
    world.end()
    await world.through(MINUTE)
    status = await world.look()
    assert "12:02" in world.runs
    assert status["lastScheduleTime"] == "2026-11-23T12:02:00Z"


async def test_a_backup_speaks_for_its_run_though_the_status_was_not_written():
    world = Minutely()
    await world.look()
    await world.through(MINUTE)
    del world.there("BackupSchedule", "nightly")["status"]
    world.there("BackupSchedule", "nightly")["metadata"]["resourceVersion"] += "x"
    world.end()
    world.controller = ScheduleController(world.context)
    status = await world.look()
    assert world.runs == ["12:01"]
    assert status["lastScheduleTime"] == "2026-11-23T12:01:00Z"
