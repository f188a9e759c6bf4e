"""What becomes of a key after its reconcile: done, looked at again, retried. Nothing ends a worker."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest

from controller.runtime.worker import NotYet, Worker
from harness.waiting import SLOWER
from pgwarden.kube import errors

KEY = ("ns", "one")


async def outcome(result, monkeypatch):
    """(delays asked for, retries) after one reconcile that returns or raises *result*."""
    delays, retries, looked = [], [], asyncio.Event()

    async def reconcile(key):
        assert key == KEY
        if isinstance(result, BaseException):
            raise result
        return result

    worker = Worker("Thing", reconcile, count=1)
    monkeypatch.setattr(worker.queue, "add_after", lambda _key, seconds: delays.append(seconds))
    monkeypatch.setattr(worker.queue, "retry", lambda key: retries.append(key) or 0.5)
    done = worker.queue.done
    monkeypatch.setattr(worker.queue, "done", lambda key: (done(key), looked.set()))
    worker.queue.add(KEY)
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(looked.wait(), 5 * SLOWER)
    assert not running.done()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return delays, retries


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (None, ([], [])),
        (7.0, ([7.0], [])),
        (0.0, ([0.0], [])),
        (NotYet("the claim is not bound", 3.0), ([3.0], [])),
        (errors.Conflict(409, "Conflict", "changed"), ([], [KEY])),
        (errors.ApiError(500, "", "boom"), ([], [KEY])),
        (aiohttp.ClientConnectionError("gone"), ([], [KEY])),
        (TimeoutError(), ([], [KEY])),
        (ZeroDivisionError("a fault of ours"), ([], [KEY])),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_becomes_of_a_key(result, expected, monkeypatch):
    assert await outcome(result, monkeypatch) == expected


async def test_one_object_that_breaks_does_not_stop_the_others():
    seen = []

    async def reconcile(key):
        seen.append(key[1])
        if key[1] == "broken":
            raise ValueError
        return

    worker = Worker("Thing", reconcile, count=1)
    running = asyncio.create_task(worker.run())
    for name in ("broken", "a", "b"):
        worker.queue.add(("ns", name))
    async with asyncio.timeout(5 * SLOWER):
        while seen.count("broken") < 2:  # noqa: ASYNC110  the retry comes after half a second
            await asyncio.sleep(0.01)
    assert seen[:3] == ["broken", "a", "b"]
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_those_that_hang_hold_up_none_that_comes():
    """What is behind a storage that hangs waits for it for most of the time."""
    looked, hang = [], asyncio.Event()

    async def reconcile(key):
        if key[0] == "hangs":
            await hang.wait()
        looked.append(key)

    worker = Worker("Thing", reconcile, count=100)
    for number in range(40):
        worker.queue.add(("hangs", str(number)))
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0)
    worker.queue.add(KEY)
    async with asyncio.timeout(5 * SLOWER):
        while not looked:  # noqa: ASYNC110  what is looked at is a plain list
            await asyncio.sleep(0.001)
    assert looked == [KEY]
    assert len(worker.queue) == 0
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_no_more_are_worked_on_at_once_than_it_is_told_to():
    now, most, done = 0, 0, 0

    async def reconcile(_key):
        nonlocal now, most, done
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now, done = now - 1, done + 1

    worker = Worker("Thing", reconcile, count=3)
    for number in range(20):
        worker.queue.add(("ns", str(number)))
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(5 * SLOWER):
        while done < 20:  # noqa: ASYNC110  a plain number
            await asyncio.sleep(0.001)
    assert most == 3
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
