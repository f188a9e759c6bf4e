"""A queue of keys: a key is in it once, is worked on by one worker at a time, and can be put in for later."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
FIRST_RETRY = 0.5  # seconds
LAST_RETRY = 60.0  # seconds


class KeyedQueue(Generic[K]):
    """Keys added while they are worked on come again afterwards. Of several delays for one key the soonest wins."""

    def __init__(self) -> None:
        self._ready: dict[K, float] = {}  # since when
        self._busy: set[K] = set()
        self._again: set[K] = set()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0
        self._failures: dict[K, int] = {}
        self._wake = asyncio.Event()

    def add(self, key: K) -> None:
        self._due.pop(key, None)
        if key in self._busy:
            self._again.add(key)
        else:
            self._ready.setdefault(key, _now())
            self._wake.set()

    def add_after(self, key: K, seconds: float) -> None:
        if seconds <= 0:
            self.add(key)
            return
        when = asyncio.get_running_loop().time() + seconds
        if key in self._due and self._due[key] <= when:
            return
        self._due[key] = when
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, key))
        self._wake.set()

    def retry(self, key: K) -> float:
        """Put *key* in again after a delay that doubles with each failure; returns the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay: float = min(FIRST_RETRY * 2.0 ** min(failures, 10), LAST_RETRY)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """*key* went well: its next failure starts from the shortest delay again."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key; `done` must be called for it."""
        while True:
            self._release_due()
            if self._ready:
                key = next(iter(self._ready))
                del self._ready[key]
                self._busy.add(key)
                if self._ready:
                    self._wake.set()
                return key
            self._wake.clear()
            timeout = self._heap[0][0] - asyncio.get_running_loop().time() if self._heap else None
            try:
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def done(self, key: K) -> None:
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def __len__(self) -> int:
        return len(self._ready)

    def oldest(self) -> float:
        """Seconds for which the first key has waited; 0 where none waits."""
        return max(0.0, _now() - next(iter(self._ready.values()))) if self._ready else 0.0

    def _release_due(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._heap and self._heap[0][0] <= now:
            when, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == when:
                del self._due[key]
                self.add(key)


def _now() -> float:
    return time.monotonic()
