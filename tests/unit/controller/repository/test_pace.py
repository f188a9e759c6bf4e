"""How often a Repository makes a server do something, over hours in each state that can last."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from datetime import timedelta

import pytest

from pgwarden.kube import paths
from tests.unit.controller.replicas import HOST, deployment
from tests.unit.controller.repository.conftest import BOTH, LOCAL, World

HOURS = timedelta(hours=6)
MINUTE = timedelta(minutes=1)
#: 1, 2, 4, 8 minutes, then each quarter of an hour.
MOST_ASKED = 29


def _archiving(make: Callable[[object], World]) -> World:
    """Storage local takes WAL."""
    world = make(LOCAL)
    world.stanzas, world.arrived = {1}, {1}
    return world


def _widened(make, **wrong) -> World:
    """And then a second storage is named, whose Secret is there."""
    world = _archiving(make)
    world.secret()
    world.repository(BOTH)
    for name, value in wrong.items():
        setattr(world, name, value)
    return world


def _without_secret(make) -> World:
    world = _archiving(make)
    world.repository(BOTH)
    owner = world.store.objects[paths.of("repositories", "ns", "hippo")]["metadata"]["uid"]
    world.store.put(paths.of("deployments", "ns", HOST), deployment(owner))  # nothing is applied without the Secret
    return world


def _old_config(make) -> World:
    return _widened(make, has_config=False, _given=("old", 1))


#: What is wrong, what mends it, how often a segment may be asked for meanwhile, and what Archiving says.
STATES = {
    "the Secret is not there": (_without_secret, lambda world: world.secret(), 0, "there is no Secret keys"),
    "the storage cannot be reached": (
        lambda make: _widened(make, trouble={2: "unable to connect to 's3.example:443': [111] Connection refused"}),
        lambda world: world.trouble.clear(), 0, "storage s3 cannot be read",
    ),
    "the key is wrong": (
        lambda make: _widened(make, trouble={2: "HTTP request failed with 403 (Forbidden): <Code>InvalidAccessKeyId</Code>"}),
        lambda world: world.trouble.clear(), 0, "storage s3 cannot be read",
    ),
    "the stanza cannot be made": (
        lambda make: _widened(make, stanza_error="unable to write"),
        lambda world: setattr(world, "stanza_error", ""), 0, "until the stanza is in every storage",
    ),
    "no primary": (
        lambda make: _widened(make, postgres={"db-0": {"reachable": False, "error": "connection refused"}}),
        lambda world: world.postgres.update({"db-0": {}}), 0, "no pod is a responding primary",
    ),
    "a replica only": (
        lambda make: _widened(make, postgres={"db-0": {"inRecovery": True}}),
        lambda world: world.postgres.update({"db-0": {}}), 0, "no pod is a responding primary",
    ),
    "segments wait, archive_command hangs": (
        lambda make: _widened(make, unarchived=1),
        lambda world: setattr(world, "unarchived", 0), 0, "as 1 segment waits in pg_wal of pod db-0",
    ),
    "the host and the pods keep the old configuration": (
        _old_config, lambda world: setattr(world, "has_config", True), 0, "until the repository host has the new",
    ),
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
async def test_for_hours_no_segment_is_asked_for_where_it_cannot_help_and_soon_after_the_mend_one_is(make, state):
    begin, mend, most, said = STATES[state]
    world = begin(make)
    await world.drive(HOURS, slow=300.0)
    assert len(world.asked) == most
    assert said in world.condition("Archiving")["message"]
    mend(world)
    world.stanzas.discard(2)
    assert await world.until("Archiving", 1.5 * MINUTE) <= 1.25 * MINUTE
    assert world.arrived == {1, 2}
    assert len(world.asked) == 1
    assert [one["reason"] for one in world.store.events if one["reason"] == "SegmentAskedFor"] == ["SegmentAskedFor"]


NEVER_SEEN, NO_ANSWER = {"arrives": False}, {"agent_answers": False}
LASTING = {
    "what is archived is never seen": (NEVER_SEEN, None),
    "it is never seen, a crash loop": (NEVER_SEEN, timedelta(seconds=20)),
    "the agent beside PostgreSQL does not answer": (NO_ANSWER, None),
    "it does not answer, a new leader each 5 min": (NO_ANSWER, timedelta(minutes=5)),
}


@pytest.mark.parametrize("state", LASTING)
async def test_where_asking_does_not_help_it_is_asked_less_and_less_often_also_over_new_leaders(make, state):
    wrong, restart_each = LASTING[state]
    world = _widened(make, **wrong)
    await world.drive(HOURS, restart_each=restart_each, slow=60.0)
    pauses = [later - earlier for earlier, later in itertools.pairwise(world.asked)]
    assert 20 < len(world.asked) <= MOST_ASKED
    assert min(pauses) >= MINUTE
    assert timedelta(minutes=15) <= max(pauses) <= timedelta(minutes=17)
    said = world.condition("Archiving")["message"]
    assert f"th time at {world.status['segmentAsked']['time']}" in said
    assert f"next request at {world.status['segmentAsked']['next']}" in said
    world.arrives = world.agent_answers = True
    await world.until("Archiving", timedelta(minutes=16))


async def test_a_new_spec_is_asked_for_at_once_but_never_twice_in_a_minute(make):
    world = _widened(make, arrives=False)
    await world.drive(timedelta(hours=1))
    asked = len(world.asked)
    world.arrives = True
    world.repository(BOTH | {"retention": {"full": 3}})
    assert await world.until("Archiving", MINUTE) <= MINUTE
    assert len(world.asked) == asked + 1
    world.arrived, world.arrives = {1}, False
    for full in range(4, 20):  # a spec each ten seconds
        world.repository(BOTH | {"retention": {"full": full}})
        await world.drive(timedelta(seconds=10))
    assert min(later - earlier for earlier, later in itertools.pairwise(world.asked)) >= MINUTE


async def test_what_comes_and_goes_is_one_series(make):
    """A storage that loses its WAL over and over, say: each time all was well, and each time it begins anew."""
    world = _widened(make)
    end = world.now + timedelta(hours=2)
    while world.now < end:
        await world.drive(timedelta(seconds=50))
        world.arrived.discard(2)
    assert min(later - earlier for earlier, later in itertools.pairwise(world.asked)) >= MINUTE
    assert 8 <= len(world.asked) <= 13


async def test_a_watch_that_stands_still_makes_nobody_ask_oftener(make):
    """The cache shows a status of before the first asking, for as long as it lasts."""
    world = _widened(make, arrives=False)
    await world.look()
    world.asked.clear()
    world.begin()
    world.caches.repositories._put(_without_stamp(world))
    world.stale = True
    await world.drive(timedelta(minutes=5))
    assert len(world.asked) <= 3
    assert min(later - earlier for earlier, later in itertools.pairwise(world.asked)) >= MINUTE


def _without_stamp(world: World) -> dict:
    found = copy.deepcopy(world.store.objects[paths.of("repositories", "ns", "hippo")])
    del found["status"]["segmentAsked"]
    found["metadata"]["resourceVersion"] = "0"
    return found


WRITTEN_BY_OTHERS = [{}, {"time": "soon"}, {"time": 7, "times": "x"}, {"times": []}, "text", {"time": "2999-01-01T00:00:00Z", "times": 9}]  # fmt: skip


@pytest.mark.parametrize("stamp", WRITTEN_BY_OTHERS, ids=str)
async def test_a_stamp_that_cannot_be_read_or_lies_ahead_holds_nothing_up_for_long(make, stamp):
    world = _widened(make)
    path = paths.of("repositories", "ns", "hippo")
    world.store.put(path, world.store.objects[path] | {"status": {"segmentAsked": stamp}})
    await world.until("Archiving", timedelta(minutes=16))


async def test_two_primaries_are_asked_no_oftener_than_one(make):
    world = _widened(make, arrives=False, postgres={"db-0": {}, "db-1": {}})
    world.postgres_pod("db-1", "10.0.0.2")
    await world.drive(HOURS, slow=60.0)
    assert 20 < len(world.asked) <= MOST_ASKED


async def test_a_new_repository_archives_at_the_first_look_and_a_widened_one_as_soon_as_the_pods_know(make):
    world = make(LOCAL)
    assert await world.until("Archiving", MINUTE) <= timedelta(seconds=3)
    assert len(world.asked) == len(world.stanza_creates) == 1
    world.secret()
    await world.drive(2 * MINUTE)
    world.has_config = False  # the kubelet takes a few seconds
    world.repository(BOTH)
    await world.drive(timedelta(seconds=6))
    assert len(world.asked) == 1
    world.has_config = True
    assert await world.until("Archiving", MINUTE) <= timedelta(seconds=6)
    assert len(world.asked) == 2


async def test_a_pod_that_works_with_the_old_configuration_is_waited_for_and_then_asked_at_the_usual_pace(make):
    world = _widened(make, arrives=False)
    world._config = lambda: ("another", 2)  # the host has it
    await world.drive(timedelta(seconds=100))
    assert world.asked == []
    assert "until pod db-0 has the new configuration" in world.condition("Archiving")["message"]
    await world.drive(timedelta(minutes=10))
    assert 1 <= len(world.asked) <= 5


async def test_a_stanza_that_cannot_be_made_is_tried_once_a_minute_and_says_when(make):
    world = make(LOCAL)
    world.stanza_error = "unable to write"
    await world.drive(timedelta(hours=2))
    pauses = [later - earlier for earlier, later in itertools.pairwise(world.stanza_creates)]
    assert 90 < len(world.stanza_creates) <= 126
    assert pauses[:3] == [timedelta(seconds=seconds) for seconds in (3, 6, 12)]
    assert min(pauses[8:]) >= MINUTE
    assert "unable to write" in world.condition("StanzaCreated")["message"]
    assert "; tried again at 2026-11-28T" in world.condition("StanzaCreated")["message"]
    world.stanza_error = ""
    await world.until("Ready", 1.25 * MINUTE)


async def test_pods_are_touched_for_each_change_of_the_configuration_but_not_without_end(make):
    world = _archiving(make)
    world.stanzas = {1}
    for number in range(20):
        world.postgres_pod("db-0", f"10.0.1.{number}")
        before = _touched(world)
        await world.look()
        assert _touched(world) != before
        world.now += timedelta(seconds=5)
    touched = set()
    for number in range(2 * 180):  # a pod that comes with another address each twenty seconds
        world.postgres_pod("db-0", f"10.{number // 250}.2.{number % 250}")
        await world.look()
        touched.add(_touched(world))
        world.now += timedelta(seconds=20)
    assert 100 < len(touched) <= 125


async def test_a_controller_that_starts_touches_no_pod_and_writes_nothing_where_all_is_as_it_should_be(make):
    world = _archiving(make)
    await world.drive(MINUTE)
    before, version = _touched(world), world.store.version
    for _ in range(20):
        world.begin()
        await world.drive(timedelta(seconds=20))
    assert _touched(world) == before
    assert world.store.version == version


def _touched(world: World) -> str:
    found = world.store.objects[paths.of("pods", "ns", "host")]["metadata"]
    return str((found.get("annotations") or {}).get("pgwarden.io/config-hash"))
