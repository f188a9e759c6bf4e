"""What a schedule keeps for longer than its Repository lets it: seen, told once, and over when it is set right."""

from __future__ import annotations

from tests.unit.controller.living import condition
from tests.unit.controller.schedule.test_away import MINUTE, Minutely

MONTH = "--repo1-retention-full=30"


async def test_a_schedule_that_stood_before_the_rule_goes_on_and_says_what_undoes_it(monkeypatch):
    told: list[str] = []

    async def warning(obj: object, reason: str, text: str) -> None:
        told.append(reason)

    world = Minutely(options=[MONTH])
    monkeypatch.setattr(world.context.recorder, "warning", warning)
    world.change("Repository", "hippo", retention={"full": 7})
    status = await world.look()
    found = condition(status, "RetentionHolds")
    assert (found["status"], found["reason"]) == ("False", "RetentionUndone")
    assert found["message"] == (
        f"{MONTH} is more than the 7 full backups that Repository hippo keeps, so the next other backup undoes it; set "
        "spec.retention.full there to 30, or remove it here"
    )
    assert (status["phase"], condition(status, "Ready")["status"]) == ("Active", "True")
    await world.through(MINUTE)
    assert world.runs == ["12:01"], "without its backups more would be lost"
    assert told == ["RetentionUndone"], "once"
    world.change("Repository", "hippo", retention={"full": 30})
    found = condition(await world.look(), "RetentionHolds")
    assert (found["status"], found["reason"]) == ("True", "Kept")


async def test_another_schedule_that_keeps_less_is_named():
    world = Minutely(options=[MONTH])
    world.make("BackupSchedule", "weekly", options=["--repo1-retention-full=4"])
    assert (
        "is more than the 4 full backups of BackupSchedule weekly"
        in (condition(await world.look(), "RetentionHolds")["message"])
    )
    world.change("BackupSchedule", "weekly", suspend=True)
    assert condition(await world.look(), "RetentionHolds")["status"] == "True"


async def test_a_schedule_without_numbers_of_its_own_has_no_such_condition():
    world = Minutely(options=[MONTH])
    world.change("Repository", "hippo", retention={"full": 7})
    await world.look()
    world.change("BackupSchedule", "nightly", options=[])
    assert condition(await world.look(), "RetentionHolds") == {}
