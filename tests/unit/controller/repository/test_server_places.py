"""A PostgreSQL that is elsewhere in its pod than the webhook assumed."""

from __future__ import annotations

from pgwarden.api import names
from pgwarden.kube import paths
from tests.unit.controller.repository.conftest import FACTS, LOCAL

ELSEWHERE = {"dataDirectory": "/data/pg15", "port": 5433, "socketDirectory": "/sockets"}
TOLD = ("pg1-path=/data/pg15", "pg1-port=5433", "pg1-socket-path=/sockets")


def lines(world) -> set[str]:
    found = world.store.objects[paths.of("configmaps", "ns", names.host("hippo"))]
    return set(found["data"][names.KEY_HOST_CONF].splitlines())


async def test_the_configuration_follows_what_the_agent_has_found_and_stays_while_the_agent_is_silent(make):
    world = make(LOCAL)
    await world.look()
    assert f"pg1-path={FACTS['dataDirectory']}" in lines(world)
    world.places["db-0"] = ELSEWHERE
    assert await world.look() is not None
    await world.look()
    assert lines(world) >= set(TOLD)
    world.agent_answers = False
    await world.look()
    assert lines(world) >= set(TOLD)


async def test_it_follows_back_where_the_server_is_as_assumed_again(make):
    world = make(LOCAL)
    world.places["db-0"] = ELSEWHERE
    await world.look()
    await world.look()
    world.places.clear()
    await world.look()
    await world.look()
    assert not lines(world) & set(TOLD)
    assert f"pg1-path={FACTS['dataDirectory']}" in lines(world)


async def test_the_line_to_write_is_in_the_status_and_the_repository_is_not_well_without_it(make):
    world = make(LOCAL)
    advice = "PostgreSQL's data directory is /data/pg15, not /data: set spec.postgres.dataDirectory to /data/pg15"
    world.arrived.add(1)
    world.postgres["db-0"] = {"advice": advice}
    for _ in range(3):
        await world.look()
    (pod,) = world.status["pods"]
    assert pod["message"] == advice
    assert world.status["phase"] == "Degraded"
    assert (world.status["reason"], world.status["message"]) == ("PodNotProtected", f"pod db-0: {advice}")


async def test_a_server_that_is_too_old_is_the_reason_of_the_condition(make):
    world = make(LOCAL)
    world.postgres["db-0"] = {"reachable": False, "tooOld": True, "error": "PostgreSQL 9.6 is too old: …"}
    await world.look()
    archiving = next(one for one in world.status["conditions"] if one["type"] == "Archiving")
    assert archiving["reason"] == "PostgresTooOld"
    assert "db-0: PostgreSQL 9.6 is too old" in archiving["message"]
    assert world.status["reason"] == "PostgresTooOld"
