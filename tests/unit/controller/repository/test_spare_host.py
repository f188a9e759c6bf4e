"""A Repository with local,s3 whose volume is lost: the spare host comes, answers for s3, and goes; and what is owed then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pgwarden.api import names
from pgwarden.kube import paths
from tests.unit.controller.replicas import by

from .conftest import BOTH, World

CLAIM = paths.of("persistentvolumeclaims", "ns", names.repo_claim("hippo"))
SPARE = paths.of("deployments", "ns", names.spare_host("hippo"))
HOST = paths.of("pods", "ns", "host")
LATER = paths.of("pods", "ns", "spare")


def put(world: World, path: str, change: dict[str, Any]) -> None:
    world.store.put(path, world.store.objects[path] | change)


def readiness(world: World, ready: bool) -> None:
    since = f"{world.now:%Y-%m-%dT%H:%M:%SZ}"
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": since}
    pod = world.store.objects[HOST]
    put(world, HOST, {"spec": {}, "status": pod["status"] | {"conditions": [condition]}})


def spare_pod(world: World) -> None:
    labels = {names.LABEL_OWNER_REPOSITORY: "hippo", names.LABEL_COMPONENT: names.COMPONENT_SPARE}
    status = {"podIP": "10.0.0.8", "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    about = {"name": "spare", "namespace": "ns", "labels": labels, "ownerReferences": by(names.spare_host("hippo"))}
    world.store.put(LATER, {"metadata": about, "spec": {}, "status": status})
    world.caches.deployments._put(world.store.objects[SPARE])


@pytest.fixture
async def world(make) -> World:
    made = make(BOTH)
    made.secret()
    await made.until("Archiving", timedelta(minutes=5))
    return made


async def lose(world: World) -> None:
    put(world, CLAIM, {"status": {"phase": "Lost"}, "spec": {"volumeName": "pvc-1"}})
    readiness(world, ready=False)
    await world.look()


async def test_it_comes_with_the_loss_without_the_volume_and_goes_when_the_host_is_back(world: World):
    await lose(world)
    made = world.store.objects[SPARE]
    pod = made["spec"]["template"]["spec"]
    assert not any("persistentVolumeClaim" in one for one in pod["volumes"])
    assert made["metadata"]["ownerReferences"][0]["kind"] == "Repository"
    spare_pod(world)
    world.trouble = {1: "the volume is not mounted in this pod"}
    await world.look()
    said = world.condition("Reachable")
    assert said["reason"] == "VolumeLost"
    assert said["message"].endswith("storage s3 responds")
    assert {one["name"]: one["ready"] for one in world.status["storages"]}["local"] is False
    readiness(world, ready=True)
    world.trouble = {}
    put(world, CLAIM, {"status": {"phase": "Bound"}})
    await world.look()
    assert SPARE not in world.store.objects
    assert world.condition("Reachable")["status"] == "True"


async def test_a_host_that_just_restarts_gets_none_until_it_takes_too_long(world: World):
    put(world, CLAIM, {"status": {"phase": "Bound"}})
    readiness(world, ready=False)
    await world.look()
    assert SPARE not in world.store.objects
    world.now += timedelta(minutes=3)
    await world.look()
    assert SPARE in world.store.objects


async def test_a_claim_is_never_deleted(world: World):
    await lose(world)
    await world.drive(timedelta(hours=2))
    assert world.store.objects[CLAIM]["status"]["phase"] == "Lost"


async def test_one_that_was_emptied_is_made_again_and_owes_one_full_backup_that_is_asked_for_once(world: World):
    path = paths.of("repositories", "ns", "hippo")
    repository = world.store.objects[path]
    held = [one | {"backupCount": 2, "backupCounts": {"full": 2}} for one in repository["status"]["storages"]]
    put(world, path, {"status": repository["status"] | {"storages": held}})
    world.stanzas.discard(1)
    await world.look()
    assert [one["storage"] for one in world.status["fullBackupOwed"]] == ["local", "s3"], "the fake lists no set at all"
    await world.drive(timedelta(minutes=2))
    backups = [one for name, one in world.store.objects.items() if "/backups/" in name]
    assert sorted((one["spec"]["storage"], one["spec"]["type"]) for one in backups) == [
        ("local", "full"),
        ("s3", "full"),
    ]
    assert any(event.get("reason") == "BackupsLost" for event in world.store.events)


async def test_the_stanza_of_the_other_storage_is_made_while_the_volume_is_away(world: World):
    """stanza-create goes through all storages, and ends at the first that cannot be read."""
    await lose(world)
    spare_pod(world)
    world.trouble, world.stanzas = {1: "the volume is not mounted in this pod"}, {1}
    world.now += timedelta(minutes=1)
    await world.look()
    assert world.stanzas == {1, 2}
    made = len(world.stanza_creates)
    await world.look()
    assert len(world.stanza_creates) == made


async def test_a_job_that_is_over_does_not_hold_the_claim_that_is_deleted(world: World):
    about = {"namespace": "ns", "resourceVersion": "1", "labels": {names.LABEL_OWNER_REPOSITORY: "hippo"}}
    ended = {"conditions": [{"type": "Complete", "status": "True"}]}
    path = paths.of("jobs", "ns", "nightly-backup")
    owners = [{"uid": "u-nightly"}]
    world.store.put(path, {"metadata": about | {"name": "nightly-backup", "ownerReferences": owners}, "status": ended})
    backup = {"kind": "Backup", "metadata": about | {"name": "nightly", "uid": "u-nightly"}}
    world.caches.backups._put(backup | {"spec": {"repository": "hippo"}, "status": {"phase": "Completed"}})
    job = world.store.objects[path]
    world.caches.jobs._put(job)
    claim = {"name": "repo", "persistentVolumeClaim": {"claimName": names.repo_claim("hippo")}}
    held = {"metadata": about | {"name": "nightly-x", "ownerReferences": [{"uid": job["metadata"]["uid"]}]}}
    world.caches.own_pods._put(held | {"spec": {"volumes": [claim]}, "status": {"phase": "Succeeded"}})
    await world.look()
    assert path in world.store.objects
    put(
        world,
        CLAIM,
        {"metadata": world.store.objects[CLAIM]["metadata"] | {"deletionTimestamp": "2026-11-28T12:00:00Z"}},
    )
    await world.look()
    assert path not in world.store.objects
