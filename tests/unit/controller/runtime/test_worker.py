"""What becomes of a key after its reconcile: done, looked at again, retried. Nothing ends a worker."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest

from controller.runtime.worker import NotYet, Worker
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
    await asyncio.wait_for(looked.wait(), 5)
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
    async with asyncio.timeout(5):
        while seen.count("broken") < 2:  # noqa: ASYNC110  the retry comes after half a second
            await asyncio.sleep(0.01)
    assert seen[:3] == ["broken", "a", "b"]
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
