"""Memory that large bodies share: granted in order, and never lost with whoever gives up."""

from __future__ import annotations

import asyncio

import pytest

from webhook.memory_limit import Room


async def turns():
    for _ in range(3):
        await asyncio.sleep(0)


async def held(room, size, done):
    async with room.of(size):
        await done.wait()


async def test_room_is_granted_in_order_and_given_back():
    room, done = Room(10), [asyncio.Event() for _ in range(3)]
    tasks = [asyncio.create_task(held(room, size, event)) for size, event in zip((8, 5, 2), done, strict=True)]
    await turns()
    done[2].set()
    await turns()
    assert not tasks[2].done(), "it would fit, and waits behind the second"
    done[0].set()
    await turns()
    assert [task.done() for task in tasks] == [True, False, True]
    done[1].set()
    await turns()
    assert room.take(10, lambda: None)


@pytest.mark.parametrize("freed_first", [True, False], ids=["as it is granted", "before it is granted"])
async def test_a_waiter_that_gives_up_takes_no_room_with_it(freed_first):
    room, done = Room(10), asyncio.Event()
    assert room.take(10, lambda: None)
    waiter = asyncio.create_task(held(room, 10, done))
    await turns()
    if freed_first:
        room.give_back(10)
        waiter.cancel()
    else:
        waiter.cancel()
        await turns()
        room.give_back(10)
    await asyncio.wait({waiter})
    assert waiter.cancelled()
    assert room.take(10, lambda: None)
