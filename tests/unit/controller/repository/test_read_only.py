"""Of a read-only Repository the host is asked what is there, and for nothing else, until it is taken over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pgwarden.contract import calls
from tests.unit.controller.repository.conftest import BOTH, World

HOUR = timedelta(hours=1)
S3 = {"storageType": "s3", "s3": BOTH["s3"]}
READ_ONLY = S3 | {"accessMode": "ReadOnly"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What the agents are asked for."""
    found: set[str] = set()
    for name in ("host", "pod"):
        answer = getattr(World, name)

        async def told(
            self: World, key: Any, ip: str, call: calls.Call[Any], *, _answer: Any = answer, **more: Any
        ) -> Any:
            found.add(call.name)
            return await _answer(self, key, ip, call, **more)

        monkeypatch.setattr(World, name, told)
    return found


@pytest.fixture
def world(make, asked: set[str]) -> World:
    made = make(READ_ONLY)
    made.secret()
    made.stanzas = {1}
    return made


async def test_what_is_there_is_told_and_nothing_is_asked_for(world: World, asked: set[str]):
    await world.drive(HOUR)
    assert world.status["phase"] == "ReadOnly"
    assert world.condition("StanzaCreated")["status"] == "True"
    for kind in ("Ready", "Archiving"):
        assert (world.condition(kind)["status"], world.condition(kind)["reason"]) == ("False", "ReadOnly")
    assert asked == {calls.STATUS}


async def test_a_stanza_that_is_not_there_is_not_created(world: World, asked: set[str]):
    world.stanzas.clear()
    await world.drive(HOUR)
    said = world.condition("StanzaCreated")
    assert said["reason"] == "StanzaMissing"
    assert "storage s3 holds no stanza hippo, and none is created" in said["message"]
    assert asked == {calls.STATUS}
    assert world.status["phase"] == "Pending"


async def test_taken_over_it_is_as_any_other(world: World):
    await world.drive(HOUR)
    world.repository(S3)
    await world.until("Archiving", HOUR)
    assert world.status["phase"] == "Ready"


async def test_the_stanza_is_that_of_the_spec_in_all_that_is_made(make):
    made = make(S3 | {"stanza": "main"})
    made.secret()
    await made.look()
    conf = next(one["data"] for path, one in made.store.objects.items() if "/configmaps/" in path)
    assert "[main]" in conf["host.conf"]
    host = next(one for path, one in made.store.objects.items() if "/deployments/" in path)
    variables = [one for each in host["spec"]["template"]["spec"]["containers"] for one in each["env"]]
    assert {one["value"] for one in variables if one["name"] == "PGWARDEN_STANZA"} == {"main"}
    assert made.status["stanza"] == "main"
