"""Condition Proven of a Repository, its Events and metrics: they follow what its drills have left in its status."""

from __future__ import annotations

from datetime import timedelta

from prometheus_client import REGISTRY

from pgwarden.kube import paths
from tests.unit.controller.repository.conftest import LOCAL

PATH = paths.of("repositories", "ns", "hippo")
PASSED = {
    "name": "d-1", "uid": "u-1", "endedAt": "2026-11-28T12:30:00Z", "phase": "Completed", "reason": "Completed",
    "set": "20261128-110000F", "storage": "local", "recoveredTo": "2026-11-28 12:29:00+00", "seconds": 42,
}  # fmt: skip
FAILED = PASSED | {
    "name": "d-2", "uid": "u-2", "endedAt": "2026-11-28T13:30:00Z", "phase": "Failed", "reason": "ChecksFailed",
    "message": "1 of 5 checks failed: rows: it is f",
}  # fmt: skip


def put(world, *drills: dict) -> None:
    """As the controller of RestoreDrills does."""
    found = world.store.objects[PATH]
    world.store.put(PATH, found | {"status": found["status"] | {"lastDrills": list(drills)}})


def metric(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"namespace": "ns", "repository": "hippo"} | labels)


def told(world) -> list[tuple[str, str]]:
    return [(one["type"], one["reason"]) for one in world.store.events if one["message"].startswith("Proven: ")]


async def test_it_is_unknown_until_a_drill_has_ended_and_no_event_says_so(make):
    world = make(LOCAL)
    await world.until("Archiving", timedelta(hours=1))
    assert (world.condition("Proven")["status"], world.condition("Proven")["reason"]) == ("Unknown", "NoDrill")
    assert told(world) == []
    assert metric("pgwarden_repository_condition", condition="Proven") is None
    assert metric("pgwarden_last_proof_timestamp_seconds") is None


async def test_it_turns_with_the_drills_also_where_nothing_else_has_changed(make):
    world = make(LOCAL)
    await world.until("Archiving", timedelta(hours=1))
    for _ in range(3):
        world.now += timedelta(seconds=await world.look())
    put(world, PASSED)
    await world.look()
    found = world.condition("Proven")
    assert (found["status"], found["reason"]) == ("True", "DrillPassed")
    assert "restored set 20261128-110000F from storage local up to 2026-11-28 12:29:00+00 in 42 s" in found["message"]
    assert metric("pgwarden_repository_condition", condition="Proven") == 1
    assert metric("pgwarden_last_proof_timestamp_seconds") == 1795869000
    assert metric("pgwarden_last_proof_restore_seconds") == 42
    assert metric("pgwarden_last_drill_passed") == 1
    put(world, FAILED, PASSED)
    await world.look()
    found = world.condition("Proven")
    assert (found["status"], found["reason"]) == ("False", "ChecksFailed")
    assert "1 of 5 checks failed: rows: it is f" in found["message"]
    assert metric("pgwarden_repository_condition", condition="Proven") == 0
    assert metric("pgwarden_last_drill_passed") == 0
    assert metric("pgwarden_last_drill_timestamp_seconds") == 1795872600
    assert metric("pgwarden_last_proof_timestamp_seconds") == 1795869000
    assert told(world) == [("Normal", "DrillPassed"), ("Warning", "ChecksFailed")]


async def test_another_process_says_the_same_and_tells_no_event_again(make):
    world = make(LOCAL)
    await world.until("Archiving", timedelta(hours=1))
    put(world, FAILED)
    await world.look()
    before = world.condition("Proven"), told(world)
    world.begin()
    await world.look()
    assert (world.condition("Proven"), told(world)) == before
    assert world.status["lastDrills"] == [FAILED]


async def test_of_a_repository_that_is_deleted_and_applied_again_nothing_is_proven(make):
    world = make(LOCAL)
    await world.until("Archiving", timedelta(hours=1))
    put(world, PASSED)
    await world.look()
    # A tool that brings the status along brings the drills of the one before.
    world.store.objects[PATH]["metadata"] |= {
        "uid": "anew",
        "creationTimestamp": "2026-11-28T14:00:00Z",
        "resourceVersion": "x",
    }
    await world.look()
    assert world.condition("Proven")["status"] == "Unknown"
    assert "lastDrills" not in world.status
    del world.store.objects[PATH]
    world.repository(LOCAL)
    await world.look()
    assert "lastDrills" not in world.status
    assert world.condition("Proven")["status"] == "Unknown"
