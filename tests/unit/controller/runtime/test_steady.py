"""Tasks of the leader: what breaks begins again, later each time, and only a cancellation ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from controller.runtime import steady
from harness.waiting import SLOWER

FAILURES = [ValueError("Attribute's length must be >= 1 and <= 64"), RecursionError(), KeyError("x"), OSError("x")]


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What is logged; not drawn for a terminal, which takes seconds for each traceback."""
    with structlog.testing.capture_logs() as lines:
        yield lines


async def test_a_task_that_breaks_is_begun_anew_with_a_growing_delay():
    pauses: list[float] = []
    left = [*FAILURES, *FAILURES]

    async def work() -> None:
        if left:
            raise left.pop()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    await steady.run("a task", work, sleep)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_after_a_long_good_time_the_delay_is_short_again():
    pauses: list[float] = []
    now = [0.0]
    runs = iter([1.0, 1.0, steady.LASTING, 1.0, None])

    async def work() -> None:
        lasted = next(runs)
        if lasted is not None:
            now[0] += lasted
            raise ValueError

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    await steady.run("a task", work, sleep, lambda: now[0])
    assert pauses == [1, 2, 1, 2]


async def test_a_failure_in_a_group_of_tasks_ends_none_of_the_others():
    reached = asyncio.Event()

    async def breaks() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(60))
            raise ValueError("one of them")

    async def others() -> None:
        await asyncio.sleep(0)
        reached.set()

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(steady.run("broken", breaks))
            group.create_task(steady.run("healthy", others))

    task = asyncio.create_task(work())
    await asyncio.wait_for(reached.wait(), 10 * SLOWER)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
