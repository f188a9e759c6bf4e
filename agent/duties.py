"""The duties of a process, side by side until it is told to end."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from agent import log


def told_to_end() -> asyncio.Event:
    """Set by SIGTERM or SIGINT, from now on."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def run(
    stop: asyncio.Event,
    duties: Iterable[Coroutine[Any, Any, None]],
    close: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Until *stop*; *close* comes before the duties are cancelled. What a duty raises is raised."""
    tasks = [asyncio.create_task(duty) for duty in duties]
    waiting = asyncio.create_task(stop.wait())
    gc.collect()
    gc.freeze()
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    log.get("agent").info("agent stops")
    if close is not None:
        await close()
    for task in (*tasks, waiting):
        task.cancel()
    await asyncio.gather(*tasks, waiting, return_exceptions=True)
    for task in done - {waiting}:
        task.result()  # a duty that ended has failed: let it be seen, and the container restart
