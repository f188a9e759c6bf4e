"""What the controller makes of a refusal: final where the object is at fault, waited for where the world is."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import REGISTRY

from controller import admission, operations
from controller.backup.reconcile import BackupController
from controller.manager import Manager, Worker, metrics
from controller.repository.secret_watch import SecretWatch
from controller.restore.reconcile import RestoreController
from pgwarden.api.faults import Waits
from tests.unit.controller.living import PLURALS, World, condition

S3 = {"credentialsSecretRef": {"name": "s3"}}
PLACE = {"bucket": "b-b", "endpoint": "e.example", "region": "r", "path": "/p"}
INSTANCES = {"instances": {"replicas": 1}, "repository": {"storageType": "local"}}
SELF: list[tuple[str, dict[str, Any]]] = [
    ("Repository", {"options": ["--proces-max=4"]}),
    ("Backup", {"options": ["--proces-max=4"]}),
    ("BackupSchedule", {"timeZone": "Zurich"}),
    ("Restore", {"volumeClaim": "hippo-pgbackrest-repo"}),
    ("PostgresCluster", INSTANCES | {"parameters": {"archive_mode": "off"}}),
]
WORLD: list[tuple[str, dict[str, Any], str, str]] = [
    ("Repository", {"storageType": "s3", "s3": S3}, Waits.DEFAULT_MISSING, "Pending"),
    ("Repository", {"storageType": "s3", "s3": S3 | PLACE}, Waits.PLACE_TAKEN, "Pending"),
    ("Backup", {"repository": "zebra"}, Waits.NO_REPOSITORY, "Pending"),
    ("Backup", {"storage": "s3"}, Waits.STORAGE_MISSING, "Pending"),
    ("Backup", {"options": ["--repo2-retention-full=2"]}, Waits.STORAGE_MISSING, "Pending"),
    ("Backup", {"repository": "short", "options": ["--repo1-retention-full=9"]}, Waits.RETENTION_UNDONE, "Pending"),
    ("Backup", {"repository": "going"}, Waits.REPOSITORY_GOING, "Pending"),
    ("Restore", {"repository": "zebra"}, Waits.NO_REPOSITORY, "Pending"),
    ("Restore", {"repository": "going"}, Waits.REPOSITORY_GOING, "Pending"),
    ("PostgresCluster", INSTANCES | {"dataSource": {"repository": "zebra"}}, Waits.SOURCE_MISSING, "Creating"),
]
CONDITION = {"Backup": "Completed", "Restore": "Validated"}


@pytest.fixture
def world() -> World:
    made = World()
    made.make("Repository", "hippo", storageType="local")
    made.make("Repository", "short", storageType="local", retention={"full": 2})
    made.make("Repository", "older", storageType="s3", s3=S3 | PLACE)
    going = made.make("Repository", "going", storageType="local")["metadata"]
    going |= {"deletionTimestamp": "2026-11-23T12:00:00Z", "resourceVersion": "going"}
    made.sync()
    return made


async def judged(world: World, kind: str) -> admission.Answer:
    return await admission.judge(world.context, PLURALS[kind], world.there(kind, "one"))


@pytest.mark.parametrize(("kind", "spec"), SELF, ids=[kind for kind, _ in SELF])
async def test_what_is_wrong_with_the_object_is_final_and_told_once(world: World, kind, spec):
    world.make(kind, "one", **spec)
    answer = await judged(world, kind)
    assert (answer.go, answer.again) == (False, None)
    status = world.status(kind, "one")
    assert status["phase"] == "Failed"
    assert condition(status, "Rejected")["status"] == "True"
    assert "spec." in condition(status, "Rejected")["message"]
    writes, told = world.writes, len(world.told)
    world.tick(60)
    await judged(world, kind)
    assert (world.writes, len(world.told), told) == (writes, 1, 1)


@pytest.mark.parametrize(("kind", "spec", "reason", "phase"), WORLD, ids=[f"{row[0]}-{row[2]}" for row in WORLD])
async def test_what_is_wrong_with_the_world_is_waited_for_with_the_reason(world: World, kind, spec, reason, phase):
    world.make(kind, "one", **spec)
    answer = await judged(world, kind)
    assert (answer.go, answer.again, answer.reason) == (False, 2.0, reason)
    status = world.status(kind, "one")
    assert status["phase"] == phase
    found = condition(status, CONDITION.get(kind, "Ready"))
    assert found["status"] in {"False", "Unknown"}
    assert (found["reason"], found["message"]) == (reason, answer.message)
    assert condition(status, "Rejected") == {}
    writes = world.writes
    world.tick(120)
    assert (await judged(world, kind)).again == 12.0
    world.tick(7200)
    assert (await judged(world, kind)).again == 60.0
    assert (world.writes, len(world.told)) == (writes, 1), "a look that found nothing new has written"


async def test_one_that_is_wrong_in_itself_does_not_wait_for_the_world(world: World):
    world.make("Backup", "one", repository="zebra", options=["--proces-max=4"])
    assert (await judged(world, "Backup")).again is None
    message = condition(world.status("Backup", "one"), "Rejected")["message"]
    assert "there is no Repository zebra" in message
    assert "--process-max" in message


async def test_a_repository_and_a_backup_that_come_in_either_order_wait_for_one_another():
    world = World()
    world.make("Backup", "one")
    world.make("Restore", "one", target={"time": "2026-11-23T11:00:00Z"})
    backups, restores = BackupController(world.context), RestoreController(world.context)
    for _ in range(3):
        await backups.reconcile(("ns", "one"))
        await restores.reconcile(("ns", "one"))
        assert world.status("Backup", "one")["reason"] == world.status("Restore", "one")["reason"] == "NoRepository"
    world.make("Repository", "hippo", storageType="local")
    assert await backups.reconcile(("ns", "one")) is not None
    assert world.status("Backup", "one")["reason"] == "RepositoryNotReady"
    assert await restores.reconcile(("ns", "one")) is not None
    assert world.status("Restore", "one")["phase"] == "Pending"
    assert world.status("Restore", "one")["reason"] != "NoRepository"


@pytest.mark.parametrize(
    ("target", "more"),
    [({"time": "2027-01-01T00:00:00Z"}, {}), ({"time": "2026-01-01T00:00:00Z"}, {}), ({}, {"set": "20261102-000000F"})],
    ids=["in the future", "before the window", "no such set"],
)
async def test_whether_a_restore_can_be_done_is_left_to_what_pgbackrest_says(world: World, target, more):
    """The Repository's status is a copy of it, which lags behind and is cut."""
    known = {
        "label": "20261101-000000F",
        "type": "full",
        "storage": "local",
        "repo": 1,
        "stopTime": "2026-11-01T00:10:00Z",
    }
    window = {"storage": "local", "repo": 1, "earliest": "2026-11-01T00:10:00Z", "latest": "2026-11-20T00:00:00Z"}
    world.there("Repository", "hippo")["status"] = {"backups": [known], "recoveryWindow": [window]}
    world.there("Repository", "hippo")["metadata"]["resourceVersion"] += "s"
    world.sync()
    world.make("Restore", "one", **({"target": target} if target else {}), **more)
    assert (await judged(world, "Restore")).go


@pytest.mark.parametrize("kind", ["Backup", "Restore"])
async def test_one_that_runs_is_not_stopped_by_what_becomes_of_the_world(world: World, kind):
    world.make(kind, "one", repository="zebra", status={"phase": "Running"})
    assert (await judged(world, kind)).go


async def test_a_backup_that_runs_runs_on_while_its_repository_is_away(world: World):
    world.make(
        "Backup", "one", repository="zebra", status={"phase": "Running", "reason": "JobRuns", "job": "one-backup"}
    )
    assert await BackupController(world.context).reconcile(("ns", "one")) is not None
    status = world.status("Backup", "one")
    assert (status["phase"], status["reason"]) == ("Running", "NoRepository")


@pytest.mark.parametrize("reason", [*Waits, "NoBackup"])
def test_one_that_waits_for_the_world_holds_nobody_up(reason):
    waits = {"kind": "Restore", "metadata": {"name": "a", "uid": "a", "creationTimestamp": "2026-11-23T10:00:00Z"}}
    waits |= {"status": {"phase": "Pending", "reason": str(reason)}}
    other = {"kind": "Backup", "metadata": {"name": "b", "uid": "b", "creationTimestamp": "2026-11-23T11:00:00Z"}}
    assert operations.may_run(other, [waits, other])
    assert operations.may_run(waits, [waits]), "once it need not wait it begins"


# --- what stands -------------------------------------------------------------------------------------------------


def reconciled(kind: str) -> dict[str, Any]:
    of = {"Repository": "Archiving", "PostgresCluster": "Complete", "BackupSchedule": "Ready"}[kind]
    good = {"type": of, "status": "True", "reason": "Good", "message": "", "observedGeneration": 1}
    good |= {"lastTransitionTime": "2026-11-23T11:00:00Z"}
    return {"phase": "Ready", "observedGeneration": 1, "conditions": [good]}


STANDING = [(kind, spec) for kind, spec in SELF if kind in {"Repository", "PostgresCluster"}]
STANDING += [("BackupSchedule", {"options": ["--proces-max=4"]}), ("Repository", {"storageType": "s3", "s3": S3})]


@pytest.mark.parametrize(
    ("kind", "spec"), STANDING, ids=[f"{kind}-{number}" for number, (kind, _) in enumerate(STANDING)]
)
async def test_what_was_taken_up_before_a_rule_was_against_it_is_cared_for_and_its_metric_tells(
    world: World, kind, spec
):
    world.make(kind, "one", status=reconciled(kind), **spec)
    answer = await judged(world, kind)
    assert answer.go
    assert "spec." in answer.refused
    assert rejected(kind) == 1
    admission.forget(PLURALS[kind], ("ns", "one"))
    assert rejected(kind) is None


@pytest.mark.parametrize(("kind", "spec"), STANDING[:3], ids=[kind for kind, _ in STANDING[:3]])
async def test_another_spec_that_a_rule_is_against_is_not_taken_up(world: World, kind, spec):
    """It would have had to pass the webhook. What was known of the one before is not told any more."""
    world.make(kind, "one", status=reconciled(kind), **spec)["metadata"]["generation"] = 2
    assert not (await judged(world, kind)).go
    status = world.status(kind, "one")
    assert status["phase"] == "Failed"
    assert {one["type"]: one["status"] for one in status["conditions"]} == {"Ready": "False", "Rejected": "True"}
    assert rejected(kind) == 1
    assert not (await judged(world, kind)).go, "its own refusal must not be taken for an acceptance"


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Repository", {"storageType": "gcs"}),
        ("Repository", {"local": {"size": 5}}),
        ("BackupSchedule", {"schedule": "0 25 * * *"}),
        ("BackupSchedule", {"timeZone": "Zurich"}),
    ],
)
async def test_what_cannot_be_followed_is_refused_even_where_it_stands(world: World, kind, spec):
    world.make(kind, "one", status=reconciled(kind), **spec)
    assert not (await judged(world, kind)).go
    assert world.status(kind, "one")["phase"] == "Failed"
    assert rejected(kind) == 1


async def test_a_copy_that_has_not_begun_waits_for_its_source_though_all_else_stands(world: World):
    status = reconciled("PostgresCluster")
    world.make("PostgresCluster", "one", status=status, **INSTANCES, dataSource={"repository": "hippo"})
    assert (await judged(world, "PostgresCluster")).go
    source = world.there("Repository", "hippo")
    source["status"] = {"postgresVersion": "16.4"}
    source["metadata"]["resourceVersion"] += "s"
    world.sync()
    assert (await judged(world, "PostgresCluster")).reason == Waits.SOURCE_UNSUITABLE
    assert rejected("PostgresCluster") is None


async def test_a_storage_that_holds_backups_is_not_left_out_even_where_that_was_not_known_at_first(world: World):
    """The status would list them no more, and the fault would be gone."""
    known = reconciled("Repository") | {"backups": [{"label": "20261101-000000F", "storage": "local"}]}
    world.make("Repository", "one", status=known, storageType="s3", s3=S3 | PLACE | {"path": "/own"})
    assert not (await judged(world, "Repository")).go
    assert world.status("Repository", "one")["backups"]


async def test_the_metric_goes_when_the_object_is_mended(world: World):
    world.make("Repository", "one", options=["--proces-max=4"])
    await judged(world, "Repository")
    assert rejected("Repository") == 1
    world.change("Repository", "one", options=[])
    assert (await judged(world, "Repository")).go
    assert rejected("Repository") is None


def rejected(kind: str) -> float | None:
    return REGISTRY.get_sample_value("pgwarden_rejected", {"kind": kind, "namespace": "ns", "name": "one"})


# --- who is woken ------------------------------------------------------------------------------------------------


@pytest.fixture
async def manager(world: World, monkeypatch):
    """Its queues are filled, and nobody works on them."""

    async def nothing(*_: Any) -> None:
        return

    monkeypatch.setattr(Worker, "run", nothing)
    monkeypatch.setattr(SecretWatch, "run", nothing)
    monkeypatch.setattr(metrics, "keep_fresh", nothing)
    found = Manager(world.context)
    await found.run()
    for worker in (found.repositories, found.schedules, found.clusters, found.backups):
        await drained(worker)
    return found


async def drained(worker: Worker) -> set[tuple[str, str]]:
    found = set()
    while len(worker.queue):
        key = await worker.queue.get()
        worker.queue.done(key)
        found.add(key)
    return found


async def test_a_repository_that_comes_goes_or_changes_wakes_all_that_wait_for_it(world: World, manager: Manager):
    world.make("BackupSchedule", "nightly")
    world.make("Backup", "one")
    world.make("PostgresCluster", "copy", **INSTANCES, dataSource={"repository": "hippo"})
    waits = {"type": "Ready", "status": "False", "reason": "PlaceTaken", "message": "", "lastTransitionTime": ""}
    world.make("Repository", "other", status={"conditions": [waits]}, storageType="local")
    for happens in (
        lambda: world.remove("Repository", "hippo"),
        lambda: world.make("Repository", "hippo", storageType="local"),
        lambda: world.change("Repository", "hippo", storageType="local,s3"),
    ):
        for worker in (manager.schedules, manager.backups, manager.clusters, manager.repositories):
            await drained(worker)
        happens()
        assert ("ns", "nightly") in await drained(manager.schedules)
        assert ("ns", "one") in await drained(manager.backups)
        assert ("ns", "copy") in await drained(manager.clusters)
        assert ("ns", "other") in await drained(manager.repositories)


async def test_a_repository_whose_status_alone_changes_wakes_no_schedule(world: World, manager: Manager):
    """Its status changes every few seconds, and there may be thousands of schedules."""
    world.make("BackupSchedule", "nightly")
    await drained(manager.schedules)
    world.there("Repository", "hippo")["status"] = {"phase": "Ready"}
    world.there("Repository", "hippo")["metadata"]["resourceVersion"] += "s"
    world.sync()
    assert await drained(manager.schedules) == set()
