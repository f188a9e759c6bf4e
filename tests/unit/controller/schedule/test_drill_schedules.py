"""A RestoreDrillSchedule makes RestoreDrills as a BackupSchedule makes Backups. The clock is set."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from controller.schedule import render
from controller.schedule.made import DRILLS
from controller.schedule.reconcile import ScheduleController
from pgwarden.api import names
from pgwarden.api.kinds import RestoreDrillScheduleSpec
from pgwarden.kube import errors
from tests.unit.controller.living import World, condition

KEY = ("ns", "weekly")
CHECK = {"name": "rows", "sql": "SELECT count(*) > 0 FROM orders"}


class Minutely(World):
    """A schedule that is due each minute."""

    def __init__(self, **spec) -> None:
        super().__init__()
        self.make("Repository", "hippo", storageType="local")
        self.make("RestoreDrillSchedule", "weekly", **spec)
        self.begin()

    def begin(self) -> None:
        """Another process leads."""
        self.controller = ScheduleController(self.context, DRILLS)

    async def look(self, seconds: float = 0) -> dict:
        self.tick(seconds)
        await self.controller.reconcile(KEY)
        return self.status("RestoreDrillSchedule", "weekly")

    def end(self, phase: str = "Completed") -> None:
        for obj in self.of("restoredrills"):
            if not obj.get("status"):
                obj["status"] = {"phase": phase, "completionTime": self._time()}
            obj["metadata"]["resourceVersion"] += "e"
        self.sync()

    @property
    def drills(self) -> list[str]:
        return sorted(obj["metadata"]["name"] for obj in self.of("restoredrills"))


async def test_a_run_makes_the_drill_of_the_template_once_whoever_leads():
    world = Minutely(template={"checks": [CHECK], "storage": "local", "activeDeadlineSeconds": 600})
    await world.look()
    status = await world.look(60)
    assert world.drills == ["weekly-20261123120100"]
    (drill,) = world.of("restoredrills")
    assert drill["kind"] == "RestoreDrill"
    assert drill["spec"] == {"repository": "hippo", "checks": [CHECK], "storage": "local", "activeDeadlineSeconds": 600}
    assert drill["metadata"]["labels"] == {"pgwarden.io/schedule": "weekly"}
    assert "ownerReferences" not in drill["metadata"], "what it proved stays when the schedule goes"
    assert status["active"] == ["weekly-20261123120100"]
    assert (status["phase"], status["lastDrill"]) == ("Active", "weekly-20261123120100")
    assert (status["lastScheduleTime"], status["nextScheduleTimes"][0]) == (
        "2026-11-23T12:01:00Z",
        "2026-11-23T12:02:00Z",
    )
    world.begin()
    await world.look()
    assert world.drills == ["weekly-20261123120100"]


async def test_while_a_drill_is_at_work_the_next_run_is_missed_and_said():
    world = Minutely()
    await world.look()
    await world.look(60)
    status = await world.look(60)
    assert status["missed"] == [
        {"time": "2026-11-23T12:02:00Z", "reason": "PreviousDrillNotOver:weekly-20261123120100"}
    ]
    assert any(
        "RestoreDrill weekly-20261123120100 of an earlier run had not finished" in text for _, _, text in world.told
    )
    world.end()
    assert (await world.look())["lastSuccessfulTime"] == "2026-11-23T12:02:00Z"


async def test_after_a_time_away_one_drill_is_made_and_the_others_are_missed():
    world = Minutely()
    await world.look()
    status = await world.look(240)
    assert world.drills == ["weekly-20261123120400"]
    assert [one["reason"] for one in status["missed"]] == ["CaughtUpByLaterRun"] * 3


async def test_the_history_is_kept_to_its_limits_by_phase():
    world = Minutely(successfulHistoryLimit=1, failedHistoryLimit=2)
    await world.look()
    for phase in ("Completed", "Failed", "Completed", "Failed", "Failed"):
        await world.look(60)
        world.end(phase)
    await world.look()
    assert [(one["metadata"]["name"][-4:], one["status"]["phase"]) for one in world.of("restoredrills")] == [
        ("0300", "Completed"), ("0400", "Failed"), ("0500", "Failed"),
    ]  # fmt: skip


async def test_a_spread_puts_each_run_off_by_the_same():
    world = Minutely(schedule="0 * * * *", spread="10m")
    status = await world.look()
    assert "later by spec.spread" in status["message"]
    first, second, third = status["nextScheduleTimes"]
    assert first[14:] == second[14:] == third[14:] != "00:00Z"


async def test_without_its_repository_it_waits_and_starts_what_is_owed_afterwards():
    world = Minutely()
    world.remove("Repository", "hippo")
    await world.look()
    status = await world.look(60)
    assert (status["phase"], status["reason"]) == ("Pending", "NoRepository")
    assert world.drills == []
    world.make("Repository", "hippo", storageType="local")
    assert (await world.look())["phase"] == "Active"
    assert world.drills == ["weekly-20261123120100"]


async def test_one_that_is_suspended_makes_none():
    world = Minutely(suspend=True)
    await world.look()
    assert (await world.look(120))["phase"] == "Suspended"
    assert world.drills == []


async def test_a_spec_that_cannot_be_followed_is_refused_with_field_and_way_out():
    world = Minutely(schedule="@weekly")
    status = await world.look()
    assert status["phase"] == "Failed"
    assert 'write "0 0 * * 0"' in condition(status, "Rejected")["message"]


async def test_a_drill_that_the_api_server_does_not_take_is_owed():
    world = Minutely()
    await world.look()

    def full(method: str, path: str) -> None:
        if method == "POST" and path.endswith("/restoredrills"):
            raise errors.Invalid(403, "Forbidden", "exceeded quota: drills")

    world.answer = full
    status = await world.look(60)
    assert (status["phase"], status["reason"]) == ("Pending", "DrillNotCreated")
    assert "could not create its RestoreDrill: exceeded quota: drills" in status["message"]
    world.answer = lambda method, path: None
    await world.look(2)
    assert world.drills == ["weekly-20261123120100"]


@pytest.mark.parametrize("name", ["weekly", "w" * 63])
async def test_the_name_of_a_drill_leaves_room_for_what_it_makes(name):
    world = World()
    schedule = {"metadata": {"name": name, "namespace": "ns"}}
    made = render.drill(schedule, RestoreDrillScheduleSpec(repository="hippo", schedule="* * * * *"), world.now)
    drill = made["metadata"]["name"]
    assert names.drill(drill) == f"{drill}-drill"
    assert len(names.drill_checks(drill)) <= 63


async def test_its_runs_are_counted_as_those_of_its_kind():
    world = Minutely()
    labels = {"namespace": "ns", "repository": "hippo", "kind": "RestoreDrillSchedule", "outcome": "started"}
    before = REGISTRY.get_sample_value("pgwarden_schedule_runs_total", labels) or 0
    await world.look()
    await world.look(60)
    assert REGISTRY.get_sample_value("pgwarden_schedule_runs_total", labels) == before + 1
