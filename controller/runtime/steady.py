"""Tasks that last as long as the leadership: what breaks in one is logged, and it begins again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger()
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds
#: A task that ran for so long has recovered: its next failure begins with the shortest pause again.
LASTING = 120.0  # seconds
Sleep = Callable[[float], Awaitable[None]]


async def run(
    what: str,
    work: Callable[[], Awaitable[None]],
    sleep: Sleep = asyncio.sleep,
    clock: Callable[[], float] | None = None,
) -> None:
    """*work* until it returns. A failure is logged, and it is begun anew after a pause that doubles.

    So no fault of ours in one task ends the process, and with it all others. Being cancelled does.
    """
    now = clock or time.monotonic
    pause = FIRST_PAUSE
    while True:
        began = now()
        try:
            await work()
        except Exception:
            if now() - began >= LASTING:
                pause = FIRST_PAUSE
            log.exception("a task broke, beginning again", task=what, seconds=pause)
        else:
            return
        await sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
