"""archive_timeout of the primary: brought to spec.archiveTimeout where nobody else has set it, and left alone elsewhere."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta

import pytest

from pgwarden.api import names
from pgwarden.kube import paths
from tests.unit.controller.repository.conftest import FACTS, LOCAL, World

MINUTES = timedelta(minutes=5)
NOBODY, OURS = {"seconds": 0, "setBy": "default"}, {"seconds": 60, "setBy": "pgwarden", "own": 60}
USERS = {"seconds": 5, "setBy": "user"}


def _world(make: type[World], told: dict, **spec: object) -> World:
    world = make(LOCAL | spec)
    world.stanzas, world.arrived = {1}, {1}
    world.archive_timeout = told
    return world


@pytest.mark.parametrize(
    ("told", "spec", "asked"),
    [
        (NOBODY, {}, [60]),
        (NOBODY, {"archiveTimeout": "5min"}, [300]),
        (NOBODY, {"archiveTimeout": "off"}, []),
        (OURS, {}, []),
        (OURS, {"archiveTimeout": "2min"}, [120]),
        (OURS, {"archiveTimeout": "off"}, [0]),
        (USERS, {}, []),
        (USERS | {"own": 60}, {}, [0]),
        ({}, {}, []),
    ],
    ids=["nobody set it", "another value", "off", "pgwarden did", "changed", "turned off", "the user did",
         "the user did after pgwarden", "an agent of before"],
)  # fmt: skip
async def test_it_is_asked_for_once(make, told, spec, asked):
    world = _world(make, dict(told), **spec)
    await world.drive(MINUTES)
    assert [seconds for _, seconds in world.timeouts] == asked
    events = [one["reason"] for one in world.store.events if one["reason"].startswith("ArchiveTimeout")]
    assert events == ["ArchiveTimeoutSet"] * len(asked)


async def test_what_is_turned_off_is_taken_back(make):
    world = _world(make, dict(NOBODY))
    await world.drive(MINUTES)
    world.repository(LOCAL | {"archiveTimeout": "off"})
    await world.drive(MINUTES)
    assert [seconds for _, seconds in world.timeouts] == [60, 0]


async def test_patronis_configuration_and_a_replicas_are_left_alone(make):
    world = _world(make, dict(NOBODY))
    pod = world.store.objects[paths.of("pods", "ns", "db-0")]
    told = json.dumps(FACTS | {"configuredBy": "Patroni"})
    changed = pod["metadata"] | {"annotations": {names.ANNOTATION_POSTGRES: told}}
    world.store.put(paths.of("pods", "ns", "db-0"), pod | {"metadata": changed})
    await world.drive(MINUTES)
    other = _world(make, dict(NOBODY))
    other.postgres = {"db-0": {"inRecovery": True}}
    await other.drive(MINUTES)
    assert world.timeouts == other.timeouts == []


async def test_what_cannot_be_set_is_tried_less_and_less_often(make):
    world = _world(make, dict(NOBODY))
    world.timeout_error = "must be superuser"
    await world.drive(timedelta(hours=6), slow=15.0)
    pauses = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(world.timeouts)]
    assert 8 <= len(world.timeouts) <= 14
    assert pauses[0] >= timedelta(seconds=15)
    assert max(pauses) >= timedelta(hours=1)
    said = [one for one in world.store.events if one["reason"] == "ArchiveTimeoutNotSet"]
    assert "must be superuser" in said[0]["message"]
