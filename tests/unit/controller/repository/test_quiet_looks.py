"""A look at a Repository of which nothing has changed asks its agents and does no more; any change is acted on at once."""

from __future__ import annotations

import copy
import dataclasses
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from controller.agents import AgentError, Unchanged
from controller.repository import quiet, report
from controller.repository.facts import RepositoryFacts
from pgwarden.api import names
from pgwarden.kube import paths
from pgwarden.kube.packed import Packed
from tests.unit.controller.repository.conftest import BOTH, World

HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def full(monkeypatch) -> list[int]:
    """One for each look that went through everything."""
    seen, status = [], report.status

    def counted(*args):
        seen.append(1)
        return status(*args)

    monkeypatch.setattr(report, "status", counted)
    return seen


@pytest.fixture
async def world(make, full) -> World:
    """All is well, and was so at the last looks."""
    made = make(BOTH)
    made.secret()
    await made.until("Archiving", HOUR)
    again = 0.0
    while again < 15 or full:  # until pods have what was written for them, and nothing is new
        full.clear()
        again = await made.look()
        made.now += timedelta(seconds=again)
        assert made.looks < 50
    return made


@pytest.fixture
def asked(world, monkeypatch) -> list[object]:
    """Each question to the host's agent."""
    found: list[object] = []
    host = world.host

    async def told(*args, **more):
        found.append(args)
        return await host(*args, **more)

    monkeypatch.setattr(world, "host", told)
    return found


async def test_while_nothing_changes_the_agents_are_asked_and_all_is_looked_at_every_few_minutes(world, full, asked):
    began, looks = world.now, 0
    while world.now - began < HOUR:
        world.now += timedelta(seconds=await world.look())
        looks += 1
    assert looks == 240
    assert len(asked) == looks
    assert HOUR / quiet.FULL - 2 <= len(full) <= HOUR / quiet.FULL + 1


async def test_while_nothing_changes_no_object_is_read_from_the_caches(world, full, monkeypatch):
    def read(*_):
        raise AssertionError("an object was read")

    await world.look()
    monkeypatch.setattr(Packed, "_read", read)
    full.clear()
    await world.look()
    assert not full


async def test_an_outage_is_told_at_the_next_look_and_the_host_is_asked_once(world, full, asked):
    world.trouble[2] = "unable to connect to 's3.example:443': [111] Connection refused"
    await world.look()
    assert world.condition("Reachable")["status"] == "False"
    assert len(asked) == 1
    world.trouble.clear()
    await world.look()
    assert world.condition("Reachable")["status"] == "True"


async def test_while_no_storage_can_be_read_all_is_looked_at_once_a_minute_and_the_end_of_it_is_told_at_once(
    world, full
):
    reset = "unable to connect to 's3.example:443': [111] Connection refused"
    world.trouble |= {1: reset, 2: reset}
    began = world.now
    while world.now - began < HOUR:
        world.now += timedelta(seconds=await world.look())
    full.clear()
    began = world.now
    while world.now - began < HOUR:
        world.now += timedelta(seconds=await world.look())
    assert HOUR / quiet.FULL_AWAY - 2 <= len(full) <= HOUR / quiet.FULL_AWAY + 1
    world.trouble.clear()
    await world.look()
    assert world.condition("Reachable")["status"] == "True"


async def test_while_one_of_two_storages_can_be_read_each_look_goes_through_everything(world, full):
    world.trouble[2] = "unable to connect to 's3.example:443': [111] Connection refused"
    began = world.now
    while world.now - began < HOUR:
        world.now += timedelta(seconds=await world.look())
    full.clear()
    await world.look()
    assert full == [1]


async def test_an_agent_that_does_not_answer_is_told_at_the_next_look(world):
    async def silent(*_, **__):
        raise AgentError("the agent at 10.0.0.9 did not answer status within 15 s")

    world.host = silent
    await world.look()
    assert world.condition("Reachable")["status"] == "False"


def _backup(world) -> None:
    spec = {"repository": "hippo", "type": "full"}
    metadata = {"name": "one", "namespace": "ns"}
    body = {"apiVersion": names.API_VERSION, "kind": "Backup", "metadata": metadata, "spec": spec}
    world.store.put(paths.of("backups", "ns", "one"), body)


def _spec(world) -> None:
    world.repository(BOTH | {"archiveTimeout": "2min"})


def _pod(world) -> None:
    world.postgres["db-1"] = {"inRecovery": True}
    world.postgres_pod("db-1", "10.0.0.2")


def _config_map(world) -> None:
    found = copy.deepcopy(world.store.objects[paths.of("configmaps", "ns", names.host("hippo"))])
    found["metadata"]["labels"]["touched"] = "1"
    world.store.put(paths.of("configmaps", "ns", names.host("hippo")), found)


def _quota(world) -> None:
    metadata = {"name": "q", "namespace": "ns", "resourceVersion": "99"}
    world.caches.quotas._put({"metadata": metadata, "spec": {"hard": {"pods": "50"}}})


def _secret(world) -> None:
    world.controller.keys.forget(("ns", "hippo"))


def _answer(world) -> None:
    world.unarchived = 3


@pytest.mark.parametrize("change", [_backup, _spec, _pod, _config_map, _quota, _secret, _answer])
async def test_whatever_changes_is_gone_through_at_the_next_look(world, full, change):
    await world.look()
    assert full == []
    change(world)
    await world.look()
    assert full == [1]


def _status(facts, **more):
    return {"repository": facts.repository | {"status": facts.repository["status"] | more}}


def _annotated(facts):
    metadata = facts.repository["metadata"] | {"annotations": {names.ANNOTATION_EXPIRE: "20260101-000000F"}}
    return {"repository": facts.repository | {"metadata": metadata}}


BUSY = {
    "an operation": lambda facts: {"operation": "Backup one"},
    "a rule's refusal": lambda facts: {"refused": "no"},
    "a claim that grows": lambda facts: {"growth": object()},
    "a configuration on its way": lambda facts: {"on_the_way": True},
    "a backup that is owed": lambda facts: _status(facts, fullBackupOwed=[{"storage": "s3", "since": "x"}]),
    "a set that is to be expired": _annotated,
    "a storage that cannot be read": lambda facts: {"info_error": "no"},
    "a secret that is not there": lambda facts: {"secret_error": "no"},
    "what Kubernetes does not take": lambda facts: {"not_applied": "no"},
}


@pytest.fixture
async def noted(world, monkeypatch) -> RepositoryFacts:
    """What a full look noted."""
    found = []

    async def note(facts: RepositoryFacts, *_: Any, **__: Any) -> None:
        found.append(facts)

    monkeypatch.setattr(world.controller._quiet, "note", note)
    world.controller._quiet.forget(("ns", "hippo"))
    await world.look()
    return found[0]


@pytest.mark.parametrize("change", BUSY.values(), ids=BUSY)
async def test_what_goes_on_by_the_clock_is_looked_after_at_each_look(noted, change):
    assert quiet.rests(noted, soon=True)
    assert not quiet.rests(dataclasses.replace(noted, **change(noted)), soon=True)


@pytest.mark.parametrize("change", [change for name, change in BUSY.items() if name != "a storage that cannot be read"])
async def test_nor_does_it_rest_then_while_its_storage_is_away(noted, change):
    away = dataclasses.replace(noted, info=None, info_error="no answer")
    assert quiet.rests(away, soon=False)
    assert not quiet.rests(away, soon=True)
    assert not quiet.rests(dataclasses.replace(away, **change(away)), soon=False)


def _others(world, count: int) -> None:
    one = next(iter(world.caches.repositories.items.values()))
    for number in range(count):
        metadata = one["metadata"] | {"name": f"db-{number}", "namespace": "other"}
        world.caches.repositories._put(one | {"metadata": metadata})


async def test_where_there_are_very_many_each_is_looked_at_less_often(world):
    assert await world.look() == 15.0
    _others(world, 1000)
    assert 31 <= await world.look() <= 32


@pytest.fixture
def asked_pods(world, monkeypatch) -> list[datetime]:
    """When the pod was asked."""
    found: list[datetime] = []
    pod = world.pod

    async def told(*args, **more):
        found.append(world.now)
        return await pod(*args, **more)

    monkeypatch.setattr(world, "pod", told)
    return found


@pytest.mark.parametrize(("pods", "every"), [(1, 1), (60, 1), (1000, 8)])
async def test_of_very_many_pods_each_is_asked_at_every_few_looks_and_the_host_at_each(
    world, asked, asked_pods, full, pods, every
):
    for number in range(1, pods):
        one = next(iter(world.caches.postgres_pods.items.values()))
        metadata = one["metadata"] | {"name": f"db-{number}", "namespace": "other"}
        world.caches.postgres_pods._put(one | {"metadata": metadata})
    _others(world, pods - 1)
    await world.look()
    asked.clear(), asked_pods.clear()
    for _ in range(40):
        world.now += timedelta(seconds=await world.look())
    assert len(asked) == 40
    if every == 1:
        assert len(asked_pods) == 40
    else:
        assert not full
        assert 40 // every - 1 <= len(asked_pods) <= 40 // every


async def test_a_pod_that_says_something_new_is_heard_at_the_next_question_to_it(world, full, asked_pods):
    _others(world, 1000)
    one = next(iter(world.caches.postgres_pods.items.values()))
    for number in range(1, 1000):
        metadata = one["metadata"] | {"name": f"db-{number}", "namespace": "other"}
        world.caches.postgres_pods._put(one | {"metadata": metadata})
    await world.look()
    world.unarchived = 3
    began = world.now
    while not full:
        world.now += timedelta(seconds=await world.look())
    assert world.now - began <= timedelta(seconds=1000 / quiet.POD_ASKS + 32)


async def test_where_there_are_very_many_each_is_gone_through_once_an_hour(world, full):
    _others(world, 2000)
    began = world.now
    while world.now - began < 3 * HOUR:
        world.now += timedelta(seconds=await world.look())
    assert 2 <= len(full) <= 3


async def test_where_very_many_are_out_of_order_they_take_turns(world):
    """A bucket that all share is away: each look goes through everything, and takes 20 ms of the one process."""
    world.trouble[2] = "unable to connect to 's3.example:443': [111] Connection refused"
    assert await world.look() == 3.0
    world.controller._unsettled |= {("other", f"db-{number}") for number in range(999)}
    assert await world.look() == 1000 / 16
    world.trouble.clear()
    await world.look()
    assert ("ns", "hippo") not in world.controller._unsettled


async def test_what_a_look_has_written_itself_is_no_reason_for_another(world, full):
    world.unarchived = 3
    await world.look()
    assert full == [1]
    await world.look()
    assert full == [1]


async def test_agents_are_told_what_is_known_and_need_not_say_it_again(world, full, monkeypatch):
    """As agents of this version do."""
    named: list[str] = []

    async def unchanged(_key, _ip, call, **_):
        named.append(call.unless)
        raise Unchanged

    monkeypatch.setattr(world, "host", unchanged)
    monkeypatch.setattr(world, "pod", unchanged)
    await world.look()
    assert (len(named), full) == (2, [])
    assert all(len(one) == 64 for one in named)


@pytest.mark.parametrize(
    ("there", "away", "well", "bad"),
    [(1, 0, 300, 60), (100, 1, 300, 60), (1_000, 40, 3_000, 120), (2_000, 2_000, 3_600, 3_600)],
    ids=["one", "a hundred", "a thousand", "all of two thousand away"],
)
def test_of_very_many_each_is_gone_through_less_often_but_each_hour(there: int, away: int, well: int, bad: int):
    caches = SimpleNamespace(repositories=SimpleNamespace(items=range(there)))
    looks = quiet.Quiet(SimpleNamespace(caches=caches), None)  # type: ignore[arg-type]
    one_well, one_away = (quiet._Look(NOW, is_away, b"", "", {}, NOW) for is_away in (False, True))
    looks._last = {("ns", str(n)): one_away for n in range(away)}
    seconds = [looks._full(one).total_seconds() for one in (one_well, one_away)]
    assert seconds == [well, bad]
