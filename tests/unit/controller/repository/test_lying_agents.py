"""What a pod's agent says, or does not say, costs its own Repository alone."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from controller.agents import AgentError
from controller.pods import Held
from controller.repository.facts import PodView
from controller.repository.report import LONGEST_PROBLEM
from controller.runtime import slots
from pgwarden.api.kinds import PodFacts
from pgwarden.api.reasons import NOT_STARTING
from pgwarden.contract.calls import Call
from pgwarden.contract.status import Status
from tests.unit.controller.repository.conftest import BOTH, FACTS, LOCAL, World
from tests.unit.controller.repository.test_spare_host import CLAIM, lose, readiness, spare_pod


async def test_a_pod_that_does_not_answer_holds_up_no_other_repository(make):
    """As many as are looked at together were enough to hold up all."""
    asked, answers = asyncio.Event(), asyncio.Event()

    class Silent(World):
        async def pod(self, _key: Any, ip: str, call: Call, **_: Any) -> Any:
            asked.set()
            await answers.wait()
            raise AgentError(f"the agent at {ip} did not answer {call.name} within 15 s")

    world = Silent(LOCAL)
    world.controller._looks = slots.Looks(1)
    look = asyncio.create_task(world.look())
    await asyncio.wait_for(asked.wait(), 30)
    with world.controller._looks.one():
        await asyncio.wait_for(slots.taken(), 30)
    answers.set()
    await look
    assert "did not answer status" in world.status["pods"][0]["message"]


async def test_what_is_wrong_with_a_pod_is_told_on_lines_that_steer_nobody_and_not_at_any_length(make):
    world = make(LOCAL)
    world.postgres["db-0"] = {"reachable": False, "error": "\x1b[2J\u202e" + "no " * 80_000}
    await world.look()
    (pod,) = world.status["pods"]
    assert pod["message"].startswith("[2Jno no ")
    assert len(pod["message"]) == LONGEST_PROBLEM


class Lying(World):
    """Its host's agent answers what is no answer, from when *lies* is set."""

    lies = ""

    async def host(self, key: Any, ip: str, call: Call, **more: Any) -> Any:
        if self.lies and ip == "10.0.0.9":
            raise AgentError(self.lies)
        return await super().host(key, ip, call, **more)


LIE = "the agent at 10.0.0.9 answered status with an invalid response"


@pytest.mark.parametrize("spec", [LOCAL, BOTH], ids=["local", "local,s3"])
async def test_of_a_host_that_is_ready_and_lies_its_lie_is_told_and_not_that_it_does_not_start(make, spec):
    world = Lying(spec)
    world.secret()
    await world.until("Archiving", timedelta(minutes=5))
    readiness(world, ready=True)
    world.lies = LIE
    for _ in range(6):
        await world.look()
        said = world.condition("Reachable")
        assert (said["status"], said["reason"], said["message"]) == ("False", "HostNotReady", LIE)
        world.now += timedelta(minutes=1)


async def test_while_a_spare_host_still_answers_the_lie_of_the_one_that_came_back_is_told(make):
    world = Lying(BOTH)
    world.secret()
    await world.until("Archiving", timedelta(minutes=5))
    await lose(world)
    spare_pod(world)
    await world.look()
    world.store.put(CLAIM, world.store.objects[CLAIM] | {"status": {"phase": "Bound"}, "spec": {}})
    readiness(world, ready=True)
    world.now += timedelta(minutes=5)
    world.lies = LIE
    await world.look()
    said = world.condition("Reachable")
    assert said["reason"] == "HostNotReady"
    assert said["message"].startswith("storage local: the repository host does not say what is on it: " + LIE)


POD = PodView("db-0", "10.0.0.1", msgspec.convert(FACTS, PodFacts))


def test_what_a_pods_agent_answers_is_told_beside_what_kubernetes_says():
    held = Held(NOT_STARTING, "pod db-0: CrashLoopBackOff: back-off 5m0s restarting failed container")
    pod = dataclasses.replace(POD, held=held, error="the agent at 10.0.0.1 returned more than 256 KiB")
    assert pod.problem == (
        "CrashLoopBackOff: back-off 5m0s restarting failed container; the agent at 10.0.0.1 returned more than 256 KiB"
    )


def test_an_answer_without_a_word_of_postgresql_is_a_problem():
    pod = dataclasses.replace(POD, answer=Status(info={"a": [{}]}))
    assert pod.problem == "what its agent answers says nothing of PostgreSQL"
