"""How much of large questions may be in memory at once: a few of 4 MiB, in 256 MiB with everything else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

SMALL = 64 * 1024  # bytes of a question that needs no room: nearly all are smaller
MOST = 32 * 1024 * 1024


class Room:
    """Who finds none waits, in order; `take` and `give_back` come in pairs."""

    def __init__(self, most: int = MOST) -> None:
        self._left = most
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()

    def take(self, size: int, granted: Callable[[], None]) -> bool:
        """Whether *size* bytes are there now; else *granted* is called as soon as they are."""
        if not self._waiting and size <= self._left:
            self._left -= size
            return True
        self._waiting.append((size, granted))
        return False

    def give_back(self, size: int) -> None:
        self._left += size
        while self._waiting and self._waiting[0][0] <= self._left:
            wanted, granted = self._waiting.popleft()
            self._left -= wanted
            granted()

    def forget(self, granted: Callable[[], None]) -> None:
        """*granted* waits no longer."""
        self._waiting = deque(each for each in self._waiting if each[1] != granted)
        self.give_back(0)

    @asynccontextmanager
    async def of(self, size: int) -> AsyncIterator[None]:
        """Room for *size* bytes, as long as the context lasts."""
        granted = asyncio.Event()
        if not self.take(size, granted.set):
            try:
                await granted.wait()
            except asyncio.CancelledError:
                if granted.is_set():
                    self.give_back(size)
                else:
                    self.forget(granted.set)
                raise
        try:
            yield
        finally:
            self.give_back(size)
