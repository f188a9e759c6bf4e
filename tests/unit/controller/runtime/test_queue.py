"""The queue of keys: each once, one worker at a time, and for later."""

from __future__ import annotations

import asyncio

from controller.runtime import queue as module
from controller.runtime.queue import KeyedQueue
from harness.waiting import SLOWER


async def taken(queue: KeyedQueue[str]) -> str | None:
    """The next key, or None where none is ready now."""
    queue._release_due()
    return await queue.get() if len(queue) else None


async def test_a_key_that_is_added_twice_comes_once():
    queue = KeyedQueue[str]()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert [await taken(queue), await taken(queue), await taken(queue)] == ["a", "b", None]


async def test_a_key_that_is_added_while_it_is_worked_on_comes_again_when_that_is_done():
    queue = KeyedQueue[str]()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    assert await taken(queue) is None
    queue.done("a")
    assert await taken(queue) == "a"
    queue.done("a")
    assert await taken(queue) is None


async def test_of_several_delays_the_soonest_wins_and_it_comes_once(monkeypatch):
    queue, now = KeyedQueue[str](), [1000.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0])
    for seconds in (50, 10, 90):
        queue.add_after("a", seconds)
    for at, expected in ((1009, None), (1010, "a"), (1050, None), (1090, None)):
        now[0] = at
        assert await taken(queue) == expected
        if expected:
            queue.done("a")


async def test_a_key_that_is_added_now_needs_no_delay_any_more(monkeypatch):
    queue, now = KeyedQueue[str](), [1000.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0])
    queue.add_after("a", 10)
    queue.add("a")
    assert await taken(queue) == "a"
    queue.done("a")
    now[0] = 1011
    assert await taken(queue) is None


async def test_retries_double_up_to_a_limit_and_begin_anew_after_a_success():
    queue = KeyedQueue[str]()
    delays = [queue.retry("a") for _ in range(12)]
    assert delays[:5] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert delays[-1] == module.LAST_RETRY
    queue.forget("a")
    assert queue.retry("a") == module.FIRST_RETRY
    assert queue.retry("b") == module.FIRST_RETRY


async def test_one_that_waits_is_woken_by_a_key_that_becomes_due():
    queue = KeyedQueue[str]()
    waiting = asyncio.create_task(queue.get())
    queue.add_after("a", 0.02)
    assert await asyncio.wait_for(waiting, 5 * SLOWER) == "a"


async def test_many_workers_share_many_keys_and_never_one_key():
    queue, busy, done = KeyedQueue[int](), set(), []

    async def work() -> None:
        while True:
            key = await queue.get()
            assert key not in busy
            busy.add(key)
            await asyncio.sleep(0)
            busy.discard(key)
            done.append(key)
            if len(done) < 300:
                queue.add(key)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(4)]
    for key in range(20):
        queue.add(key)
    async with asyncio.timeout(10 * SLOWER):
        while len(done) < 300:  # noqa: ASYNC110  the workers tell nobody
            await asyncio.sleep(0)
    for one in workers:
        one.cancel()
    ended = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in ended)
    assert set(done) == set(range(20))
