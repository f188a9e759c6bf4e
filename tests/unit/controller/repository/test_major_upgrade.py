"""PostgreSQL of another major version than the stanza: refused, until one field says that it was upgraded."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from pgwarden.api import names
from tests.unit.controller.repository.conftest import LOCAL, START, World

SEVENTEEN = {"serverVersion": "17.6", "systemIdentifier": "7"}
EIGHTEEN = {"serverVersion": "18.1", "systemIdentifier": "8"}
WHILE = timedelta(minutes=10)


def upgraded(make: type[World], wanted: int | None = None, **other: object) -> World:
    """A Repository of PostgreSQL 17 whose pod came back with PostgreSQL 18."""
    world = make(LOCAL)
    world.stanzas, world.arrived = {1}, {1}
    world.postgres["db-0"] = EIGHTEEN | other
    accept(world, wanted)
    return world


def accept(world: World, major: int | None) -> None:
    world.repository(LOCAL | ({"postgres": {"majorVersion": major}} if major else {}))


def reason(world: World, kind: str = "StanzaCreated") -> tuple[str, str]:
    found = world.condition(kind)
    return found["status"], found["reason"]


def events(world: World) -> list[str]:
    return [one["reason"] for one in world.store.events]


@pytest.mark.parametrize("wanted", [pytest.param(None, id="not said"), pytest.param(17, id="another one said")])
async def test_another_major_is_refused_with_the_field_that_takes_it_on(make: type[World], wanted: int | None):
    world = upgraded(make, wanted)
    await world.drive(WHILE)
    assert reason(world) == reason(world, "Ready") == ("False", "MajorVersionMismatch")
    said = world.condition("Ready")["message"]
    assert "pod db-0 runs PostgreSQL 18 (cluster 8), but storage local holds stanza hippo of PostgreSQL 17" in said
    assert "set spec.postgres.majorVersion: 18" in said
    assert ("not 17" in said) == (wanted == 17)
    assert world.status["phase"] == "Failed"
    assert not world.stanza_upgrades
    assert not world.stanza_creates


async def test_the_field_alone_lets_the_stanza_be_upgraded_once(make: type[World]):
    world = upgraded(make)
    await world.drive(WHILE)
    accept(world, 18)
    await world.drive(WHILE)
    assert len(world.stanza_upgrades) == 1
    assert reason(world) == ("True", "StanzaCreated")
    assert reason(world, "Archiving") == ("True", "WALArchived")
    assert events(world).count("StanzaUpgraded") == 1
    assert world.status["phase"] == "Ready"


async def test_a_field_that_was_set_before_the_upgrade_changes_nothing_until_then(make: type[World]):
    world = upgraded(make, 18)
    world.postgres["db-0"] = SEVENTEEN
    await world.drive(WHILE)
    assert not world.stanza_upgrades
    assert reason(world) == ("True", "StanzaCreated")
    world.postgres["db-0"] = EIGHTEEN
    await world.drive(WHILE)
    assert len(world.stanza_upgrades) == 1


async def test_the_field_lets_no_other_cluster_of_its_version_in(make: type[World]):
    """It stays in the manifests: what it takes on is another version, never another cluster of the same."""
    world = upgraded(make, 18)
    await world.drive(WHILE)
    world.postgres["db-0"] = EIGHTEEN | {"systemIdentifier": "9"}
    await world.drive(WHILE)
    assert len(world.stanza_upgrades) == 1
    assert reason(world) == ("False", "SystemIdentifierMismatch")


async def test_a_version_restored_from_before_is_taken_on_in_the_same_way(make: type[World]):
    world = upgraded(make, 18)
    await world.drive(WHILE)
    world.postgres["db-0"] = SEVENTEEN
    await world.drive(WHILE)
    assert reason(world) == ("False", "MajorVersionMismatch")
    accept(world, 17)
    await world.drive(WHILE)
    assert reason(world) == ("True", "StanzaCreated")
    assert [one["version"] for one in world.databases] == ["17", "18", "17"]


async def test_an_upgrade_that_fails_is_tried_again_with_growing_pauses(make: type[World]):
    world = upgraded(make, 18)
    world.stanza_error = "unable to lock"
    await world.drive(WHILE)
    assert reason(world) == ("False", "StanzaUpgradeFailed")
    assert "unable to lock" in world.condition("StanzaCreated")["message"]
    assert 5 < len(world.stanza_upgrades) < 20
    world.stanza_error = ""
    await world.until("StanzaCreated", timedelta(minutes=2))


async def test_a_storage_that_cannot_be_read_is_waited_for(make: type[World]):
    world = upgraded(make, 18)
    world.trouble = {1: "[HostConnectError] unable to connect"}
    await world.drive(WHILE)
    assert not world.stanza_upgrades


async def test_archiving_is_not_said_to_go_on_meanwhile(make: type[World]):
    world = upgraded(make)
    await world.drive(WHILE)
    assert reason(world, "Archiving") == ("False", "MajorVersionMismatch")


def backup_set(database: int, stop: datetime, kind: str = "full", **more: Any) -> dict[str, Any]:
    label = f"{stop:%Y%m%d-%H%M%S}F"
    size = {"size": 1, "delta": 1, "repository": {"size": 1, "delta": 1}}
    place = {"database": {"id": database, "repo-key": 1}, "info": size}
    at = int(stop.timestamp())
    return {"label": label, "type": kind, "timestamp": {"start": at, "stop": at}} | place | more


def asked_for(world: World) -> list[dict[str, Any]]:
    return [one for path, one in world.store.objects.items() if "/backups/" in path]


async def test_one_full_backup_of_the_new_version_is_taken_by_itself(make: type[World]):
    world = upgraded(make)
    world.sets = [backup_set(1, START - timedelta(days=1))]
    await world.drive(WHILE)
    assert not asked_for(world)
    accept(world, 18)
    await world.drive(WHILE)
    (asked,) = asked_for(world)
    assert asked["spec"] == {"repository": "hippo", "type": "full", "storage": "local"}
    assert [one["message"] for one in world.store.events if one["reason"] == "BackUp"] == [
        f"taking full backup {asked['metadata']['name']}: storage local holds no full backup of PostgreSQL 18 yet"
    ]
    asked["status"] = {"phase": "Completed", "completionTime": "2026-11-28T12:30:00Z"}
    world.store.put(f"/apis/{names.API_VERSION}/namespaces/ns/backups/{asked['metadata']['name']}", asked)
    world.sets.append(backup_set(2, world.now))
    await world.drive(WHILE)
    assert len(asked_for(world)) == 1


@pytest.mark.parametrize(
    ("later", "owed"),
    [
        pytest.param(backup_set(2, START, "incr"), True, id="no full one"),
        pytest.param(backup_set(2, START, error=True), True, id="a damaged one"),
        pytest.param(backup_set(2, START), False, id="a full one"),
    ],
)
async def test_what_pays_the_backup_that_is_owed(make: type[World], later: dict[str, Any], owed: bool):
    world = upgraded(make, 18)
    world.sets = [backup_set(1, START - timedelta(days=1)), later]
    await world.drive(WHILE)
    assert bool(asked_for(world)) == owed


async def test_sets_of_the_version_before_are_listed_with_it(make: type[World]):
    world = upgraded(make, 18)
    world.sets = [backup_set(1, START - timedelta(days=1)), backup_set(2, START)]
    await world.drive(WHILE)
    assert [one.get("postgresVersion") for one in world.status["backups"]] == [None, "17"]
