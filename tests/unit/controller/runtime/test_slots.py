"""How many looks are gone through at once."""

from __future__ import annotations

import asyncio

import pytest

from controller.runtime import slots
from controller.runtime.slots import waiting


class Looks:
    """Looks that ask once, and then work until they are let go."""

    def __init__(self, count: int) -> None:
        self.slots, self.at_work, self.most, self.go = slots.Looks(count), 0, 0, asyncio.Event()

    async def look(self, answer: asyncio.Event, *, fails: bool = False) -> None:
        with self.slots.one():
            async with waiting():
                await answer.wait()
                if fails:
                    raise ValueError
            self.at_work += 1
            self.most = max(self.most, self.at_work)
            await self.go.wait()
            self.at_work -= 1


def event(*, is_set: bool) -> asyncio.Event:
    made = asyncio.Event()
    if is_set:
        made.set()
    return made


async def test_no_more_than_so_many_work_at_once_and_all_have_a_slot():
    looks = Looks(3)
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(looks.look(event(is_set=True)))
        await asyncio.sleep(0)
        looks.go.set()
    assert (looks.most, looks.at_work) == (3, 0)


async def test_those_that_wait_for_an_answer_hold_up_nobody():
    looks, never = Looks(1), event(is_set=False)
    waits = [asyncio.create_task(looks.look(never)) for _ in range(10)]
    await asyncio.sleep(0)
    looks.go.set()
    await looks.look(event(is_set=True))
    for one in waits:
        one.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    await looks.look(event(is_set=True))


async def test_one_that_asks_again_gives_its_slot_to_another_meanwhile():
    looks, answer, order = slots.Looks(1), asyncio.Event(), []

    async def twice() -> None:
        with looks.one():
            async with waiting():
                pass
            async with waiting():
                await answer.wait()
            order.append("twice")

    first = asyncio.create_task(twice())
    await asyncio.sleep(0)
    with looks.one():
        async with waiting():
            order.append("other")
    answer.set()
    await first
    assert order == ["other", "twice"]


async def test_an_answer_that_fails_takes_no_slot_and_keeps_none():
    looks = Looks(1)
    looks.go.set()
    for _ in range(3):
        with pytest.raises(ValueError):
            await looks.look(event(is_set=True), fails=True)
    await looks.look(event(is_set=True))


async def test_both_agents_of_a_look_take_one_slot():
    looks = slots.Looks(1)

    async def ask() -> None:
        async with waiting():
            await asyncio.sleep(0)

    with looks.one():
        await asyncio.gather(ask(), ask())
    with looks.one():
        await ask()


async def test_outside_of_a_look_nothing_is_waited_for():
    async with waiting():
        pass
