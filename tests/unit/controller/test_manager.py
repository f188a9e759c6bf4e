"""The start of the leadership among objects of many tenants: one that breaks what looks at it holds up nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import structlog

from controller.agents import Agents
from controller.context import Caches, Context
from controller.manager import Manager
from controller.runtime import outcomes, steady
from controller.settings import Settings
from harness.waiting import SLOWER
from pgwarden.api import names
from pgwarden.kube import errors
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from pgwarden.kube.events import Recorder
from tests.unit.controller.restore.fake_cluster import FACTS

FAILURES = {
    "a nested annotation": RecursionError("maximum recursion depth exceeded"),
    "an object that we may not see": errors.Invalid(403, "Forbidden", "no"),
    "the API server is away": OSError("connection refused"),
    "a fault of ours": KeyError("Pod"),
}


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What is logged; not drawn for a terminal, which takes seconds for each traceback."""
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    monkeypatch.setattr(steady, "FIRST_PAUSE", 0.01)
    client = KubeClient(Access("http://nowhere.invalid", None))
    made = Context(
        client,
        Caches(client),
        Agents(client),
        Recorder(client, "c"),
        Settings.from_environment({"PGWARDEN_IMAGE": "pgwarden:test"}),
    )
    return Manager(made)


@contextlib.asynccontextmanager
async def led(manager: Manager, seen: dict[str, list[tuple[str, str]]]) -> AsyncIterator[asyncio.Task[None]]:
    """The manager runs; *seen* are the keys that came to each kind's reconcile."""
    for worker in (manager.repositories, manager.backups, manager.restores, manager.schedules, manager.clusters):

        async def reconcile(key: tuple[str, str], kind: str = worker.kind) -> None:
            seen.setdefault(kind, []).append(key)

        worker._reconcile = reconcile
    task = asyncio.create_task(manager.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def eventually(look) -> None:
    async with asyncio.timeout(20 * SLOWER):
        while not look():  # noqa: ASYNC110  what is looked at is a plain dict
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_what_breaks_the_look_for_vanished_restores_holds_up_nobody_and_is_tried_again(
    manager, monkeypatch, failure
):
    left = [failure, failure]

    async def orphans():
        if left:
            raise left.pop()
        return [("ns", "vanished")]

    monkeypatch.setattr(manager._restorer, "orphans", orphans)
    manager._context.caches.repositories._put(
        {"metadata": {"namespace": "ns", "name": "hippo", "resourceVersion": "1"}, "spec": {}}
    )
    seen: dict[str, list[tuple[str, str]]] = {}
    async with led(manager, seen) as task:
        await eventually(lambda: ("ns", "vanished") in seen.get("Restore", []))
        assert seen["Repository"] == [("ns", "hippo")]
        assert not task.done()


ODD = {
    "no labels": {"metadata": {"labels": None}},
    "no spec": {"spec": None},
    "a spec that is none": {"spec": "x"},
    "a repository that is none": {"spec": {"repository": ["hippo"]}},
    "a status that is none": {"spec": {"repository": "hippo"}, "status": ["x"]},
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
async def test_odd_objects_among_healthy_ones_are_passed_over(manager, monkeypatch, change):
    async def orphans():
        return []

    monkeypatch.setattr(manager._restorer, "orphans", orphans)
    caches, seen = manager._context.caches, {}

    def obj(name: str, **more) -> dict:
        metadata = {"namespace": "ns", "name": name, "uid": name, "resourceVersion": "1", "generation": 1}
        made = {"metadata": metadata, "spec": {"repository": "hippo"}, "status": {"phase": "Completed"}} | more
        return made | {"metadata": metadata | more.get("metadata", {})}

    pod = {"labels": {names.LABEL_REPOSITORY: "hippo"}}
    async with led(manager, seen) as task:
        await asyncio.sleep(0)  # the listeners are there once its first step is done
        for cache in caches.all():
            cache._put(obj("odd", **change))
        caches.backups._put(obj("healthy"))
        caches.postgres_pods._put(obj("pod", metadata=pod))
        for cache in caches.all():
            cache._drop(obj("odd", **change))
        await eventually(lambda: ("ns", "hippo") in seen.get("Repository", []))
        assert ("ns", "healthy") in seen["Backup"]
        assert not task.done()


async def test_a_mark_that_comes_back_on_an_instance_wakes_the_undoing_of_its_restore_once(manager):
    plan = {"restore": "gone", "restoreUid": "r", "repository": "hippo", "newClaim": "x", "facts": FACTS, "mounts": []}
    metadata = {"namespace": "ns", "name": "hippo-1", "annotations": {names.ANNOTATION_STOPPED_BY: json.dumps(plan)}}
    marked = {"metadata": metadata}
    woken: list[tuple[str, str]] = []
    manager.restores.queue.add = woken.append
    manager._instance_changed("MODIFIED", marked, {"metadata": {"namespace": "ns", "name": "hippo-1"}})
    assert woken == [("ns", "gone")]
    manager._instance_changed("MODIFIED", marked, marked)
    manager._instance_changed("MODIFIED", {"metadata": {"namespace": "ns", "name": "hippo-1"}}, marked)
    manager._context.caches.restores.items["ns", "gone"] = {"metadata": {"namespace": "ns", "name": "gone"}}
    manager._instance_changed("ADDED", marked, None)
    assert len(woken) == 1


def test_a_drill_that_ends_or_goes_wakes_the_schedule_that_made_it(manager):
    woken: list[tuple[str, str]] = []
    manager.workers["restoredrillschedules"].queue.add = woken.append
    metadata = {"namespace": "ns", "name": "weekly-1", "labels": {names.LABEL_SCHEDULE: "weekly"}}
    running, over = ({"metadata": metadata, "status": {"phase": phase}} for phase in ("Running", "Failed"))
    manager._drill_changed("MODIFIED", running, running)
    manager._drill_changed("MODIFIED", over, over)
    manager._drill_changed(
        "MODIFIED", {"metadata": {"namespace": "ns", "name": "by-hand"}, "status": over["status"]}, None
    )
    assert woken == []
    manager._drill_changed("MODIFIED", over, running)
    manager._drill_changed("DELETED", running, running)
    assert woken == [("ns", "weekly")] * 2


def test_a_repository_is_looked_at_when_a_drill_has_left_something_in_its_status(manager):
    woken: list[tuple[str, str]] = []
    manager.repositories.queue.add = woken.append
    metadata = {"namespace": "ns", "name": "hippo", "uid": "u", "generation": 1}
    before = {"metadata": metadata, "status": {"phase": "Ready"}}
    manager._repository_changed("MODIFIED", before | {"status": {"phase": "Degraded"}}, before)
    assert woken == []
    drills = {"lastDrills": [{"name": "weekly-1", "phase": "Completed"}]}
    manager._repository_changed("MODIFIED", before | {"status": before["status"] | drills}, before)
    assert woken == [("ns", "hippo")]


def test_one_slow_object_blocks_no_other_of_its_kind(manager):
    """An agent that is away takes 10 to 15 seconds to say so; a storage that all share may hang for all at once."""
    assert {kind: worker.count for kind, worker in manager.workers.items()} == {
        "repositories": 2000, "backups": 64, "backupschedules": 64, "restores": 64, "restoredrills": 64,
        "restoredrillschedules": 64, "postgresclusters": 64,
    }  # fmt: skip


async def test_what_ends_is_counted_for_repositories_that_stay(manager):
    caches, seen = manager._context.caches, {}
    for name, more in (("hippo", {}), ("going", {"deletionTimestamp": "2026-11-29T12:00:00Z"})):
        metadata = {"namespace": "counted", "name": name, "resourceVersion": "1"} | more
        caches.repositories._put({"metadata": metadata, "spec": {}})
    async with manager._context.client, led(manager, seen):
        await eventually(lambda: seen.get("Repository"))
        for name in ("hippo", "going", "gone"):
            spec = {"repository": name}
            outcomes.tell("backups", {"metadata": {"namespace": "counted"}, "spec": spec}, {"phase": "Failed"})
    samples = [sample for metric in outcomes.OPERATIONS.collect() for sample in metric.samples]
    told = {one.labels["repository"] for one in samples if one.labels["namespace"] == "counted"}
    assert told == {"hippo"}
