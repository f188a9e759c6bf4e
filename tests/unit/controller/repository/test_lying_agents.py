"""What a pod's agent says, or does not say, costs its own Repository alone."""

from __future__ import annotations

import asyncio
from typing import Any

from controller.agents import AgentError
from controller.repository.report import LONGEST_PROBLEM
from controller.runtime import slots
from pgwarden.contract.calls import Call
from tests.unit.controller.repository.conftest import LOCAL, World


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
