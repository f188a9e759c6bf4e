"""What a drill's Repository keeps of it, and what no stranger's object adds to that."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from controller.drill import render
from controller.drill.reconcile import DrillController
from controller.recovery.plan import Recovered
from pgwarden.contract import last_drills
from tests.unit.controller.living import World
from tests.unit.controller.test_drill_report import planned

KEY = ("ns", "weekly")
PASSED = "Passed\tpgwarden/start\tok\nend\t1\n"


class Drills(World):
    """One drill of hippo, which is looked at as often as is said."""

    def __init__(self, **spec) -> None:
        super().__init__()
        self.make("Repository", "hippo", storageType="local", status={"phase": "Ready"})
        self.make("RestoreDrill", "weekly", **spec)
        self.begin()

    def begin(self) -> None:
        """Another process leads."""
        self.context = dataclasses.replace(self.context)
        self.controller = DrillController(self.context)

    async def look(self, times: int = 1) -> dict:
        for _ in range(times):
            self.tick(1)
            await self.controller.reconcile(KEY)
        return self.status("RestoreDrill", "weekly")

    def restored(self, phase: str = "Completed", **more) -> None:
        found = self.there("Restore", "weekly-drill")
        plan = msgspec.structs.replace(
            planned(),
            restore="weekly-drill",
            restore_uid=found["metadata"]["uid"],
            recovered=Recovered(copy_seconds=8.0, replay_seconds=20.0, segments=3),
        )
        status = {"phase": phase, "set": "20261123-110000F", "recoveredTo": "2026-11-23 11:59:00+00"}
        status |= {"forecast": {"storage": "local", "copyBytes": 7}, "plan": plan.dump()}
        status["conditions"] = [
            {
                "type": kind,
                "status": "True",
                "lastTransitionTime": f"2026-11-23T12:00:{at:02d}Z",
                "reason": "",
                "message": "",
            }
            for kind, at in (("Validated", 1), ("VolumeReady", 2), ("Restored", 11), ("Recovered", 31))
        ]
        found["status"] = status | more
        self.changed(found)

    def checked(self, message: str = PASSED) -> None:
        job = self.objects["jobs", "ns", "weekly-drill-checks"]
        job["status"] = {"conditions": [{"type": "Complete", "status": "True"}], "completionTime": self._time()}
        labels = render.labels(self.there("RestoreDrill", "weekly"))
        about = {
            "name": "checks",
            "namespace": "ns",
            "uid": "p",
            "labels": labels,
            "ownerReferences": [{"uid": job["metadata"]["uid"]}],
        }
        ended = {"name": "postgres", "state": {"terminated": {"exitCode": 0, "message": message}}}
        self.caches.own_pods._put({"metadata": about, "status": {"containerStatuses": [ended]}})

    def changed(self, found: dict) -> None:
        self.count += 1
        found["metadata"]["resourceVersion"] = str(self.count)
        self.sync()

    @property
    def kept(self) -> list[dict]:
        return self.status("Repository", "hippo").get("lastDrills", [])

    async def through(self, message: str = PASSED) -> dict:
        await self.look(3)
        self.restored()
        await self.look(2)
        self.checked(message)
        return await self.look()


async def test_a_drill_that_passes_is_kept_with_its_figures():
    world = Drills()
    assert (await world.through())["phase"] == "Completed"
    (one,) = world.kept
    assert one.pop("message") == "1 checks passed"
    assert one == {
        "name": "weekly", "uid": world.there("RestoreDrill", "weekly")["metadata"]["uid"], "phase": "Completed",
        "reason": "Completed", "endedAt": world.status("RestoreDrill", "weekly")["completionTime"],
        "set": "20261123-110000F", "storage": "local", "recoveredTo": "2026-11-23 11:59:00+00", "seconds": 30,
    }  # fmt: skip


async def test_it_stays_when_the_drill_goes_and_another_process_leads():
    world = Drills()
    await world.through()
    before = world.kept
    world.remove("RestoreDrill", "weekly")
    world.begin()
    await world.controller.reconcile(KEY)
    assert world.kept == before


async def test_a_drill_whose_restore_or_checks_failed_is_kept_with_the_reason():
    world = Drills()
    await world.look(3)
    world.restored("Failed", reason="JobFailed", message="[095]: checksum")
    await world.look()
    assert [(one["phase"], one["reason"], one["message"]) for one in world.kept] == [
        ("Failed", "JobFailed", "[095]: checksum")
    ]
    world = Drills()
    await world.through("Failed\trows\tit is f\nend\t1\n")
    assert [(one["phase"], one["reason"]) for one in world.kept] == [("Failed", "ChecksFailed")]


async def test_a_controller_that_dies_between_the_two_writes_keeps_it_once():
    world = Drills()
    await world.look(3)
    world.restored()
    await world.look(2)
    world.checked()

    def dies(method: str, path: str) -> None:
        if method == "PATCH" and path.endswith("/restoredrills/weekly/status"):
            raise OSError("killed")

    world.answer = dies
    with pytest.raises(OSError, match="killed"):
        await world.look()
    assert len(world.kept) == 1
    assert world.status("RestoreDrill", "weekly")["phase"] == "Running"
    world.answer = lambda method, path: None
    world.begin()
    assert (await world.look())["phase"] == "Completed"
    assert [one["endedAt"] for one in world.kept] == [world.status("RestoreDrill", "weekly")["completionTime"]]


async def test_two_drills_that_end_at_once_are_both_kept():
    world = Drills()
    await world.look(3)
    world.restored()
    await world.look(2)
    other = {"name": "other", "uid": "o", "endedAt": "2026-11-23T12:00:01Z", "phase": "Completed"}
    stale = world.caches.repositories
    world.there("Repository", "hippo")["status"]["lastDrills"] = [other]  # the cache has not seen it
    assert "lastDrills" not in stale.get("ns", "hippo")["status"]
    world.checked()
    await world.look()
    assert [one["name"] for one in world.kept] == ["weekly", "other"]


async def test_a_status_that_somebody_else_writes_proves_nothing():
    world = Drills()
    found = world.there("RestoreDrill", "weekly")
    found["status"] = {
        "phase": "Completed",
        "completionTime": "2026-11-23T12:00:00Z",
        "set": "20261123-110000F",
        "reason": "Completed",
    }
    world.changed(found)
    await world.look(5)
    assert world.kept == []


@pytest.mark.parametrize(
    "forged",
    [
        {"repository": "rhino"},
        {"image": "postgres:17-mine"},
        {"set": "20260101-000000F"},
        {"options": ["--archive-mode=off"]},
        {"volumeClaim": "mine"},
    ],
    ids=str,
)
async def test_a_restore_that_the_drill_did_not_ask_for_is_not_its_own(forged):
    """Its name is known beforehand, and anybody may write an owner reference."""
    world = Drills(set="20261123-110000F")
    await world.look()
    uid = world.there("RestoreDrill", "weekly")["metadata"]["uid"]
    spec = {"repository": "hippo", "volumeClaim": "weekly-drill", "set": "20261123-110000F"} | forged
    made = world.make("Restore", "weekly-drill", **spec)
    made["metadata"]["ownerReferences"] = [{"uid": uid}]
    world.restored()
    status = await world.look(2)
    assert (status["phase"], status["reason"]) == ("Failed", "RestoreExists")
    assert [one["phase"] for one in world.kept] == ["Failed"]


async def test_the_record_of_an_earlier_restore_is_not_its_own():
    world = Drills()
    await world.look(3)
    world.restored(reason="Record")
    assert (await world.look())["reason"] == "RestoreExists"


async def test_what_is_left_open_the_restore_may_say_and_defaults_of_the_server_are_no_difference():
    world = Drills()
    await world.look(3)
    world.there("Restore", "weekly-drill")["spec"] |= {
        "keepOldVolume": True,
        "recoveryTimeoutSeconds": 7200,
        "storage": "local",
    }
    world.restored()
    assert (await world.look())["phase"] == "Running"


@pytest.mark.parametrize("when", ["deleted", "made anew"])
async def test_a_repository_that_has_gone_meanwhile_or_was_made_anew_gets_nothing_of_it(when):
    world = Drills()
    await world.look(3)
    world.restored()
    await world.look(2)
    world.checked()
    world.remove("Repository", "hippo")
    if when == "made anew":
        world.tick(60)
        world.make("Repository", "hippo", storageType="local", status={"phase": "Ready"})
    assert (await world.look())["phase"] == "Completed"
    if when == "made anew":
        assert world.kept == []


def test_the_name_of_the_field_is_that_of_the_crd():
    assert last_drills.FIELD == "lastDrills"
