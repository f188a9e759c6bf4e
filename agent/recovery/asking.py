"""An archive that cannot be read now is asked again until it can."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from agent.recovery.archive import ArchiveError
from agent.recovery.progress import Progress

T = TypeVar("T")
#: Between two tries.
RETRY_SECONDS = 5.0


async def until_said(progress: Progress, ask: Callable[[], Awaitable[T]], words: str = "") -> T:
    """What *ask* answers. Meanwhile *progress* says why it cannot: *words*, and pgBackRest's own."""
    while True:
        try:
            answer = await ask()
        except ArchiveError as error:
            progress.stands("StorageNotReadable", f"{words}{error}")
            await asyncio.sleep(RETRY_SECONDS)
            continue
        progress.stands()
        return answer
