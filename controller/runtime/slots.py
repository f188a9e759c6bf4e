"""Slots: of so many at once each holds one. Two things are bounded by them: connections to agents that are being made,
and looks that are gone through.

A thousand Repositories are looked at together as the controller starts, and those of them that wait for their storage
may be as many as there are: who waits for a repository host's answer has no slot. But the answers of all of them at
once, decoded, take hundreds of megabytes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar


class Slot:
    """One of the *free* ones, of whoever has this."""

    def __init__(self, free: asyncio.Semaphore) -> None:
        self._free = free
        self._taking = asyncio.Lock()
        self._taken = False

    async def take(self) -> None:
        """Wait until there is one; again, it is there already."""
        async with self._taking:
            if not self._taken:
                await self._free.acquire()
                self._taken = True

    def give_back(self) -> None:
        """Again, it is given back already."""
        if self._taken:
            self._free.release()
        self._taken = False


_OF_LOOK: ContextVar[Slot | None] = ContextVar("slot", default=None)


class Looks:
    """So many looks are gone through at once."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Within, a slot is taken (`taken`), and given back to wait for a repository host (`waiting`) or at the end."""
        slot = Slot(self._free)
        token = _OF_LOOK.set(slot)
        try:
            yield
        finally:
            _OF_LOOK.reset(token)
            slot.give_back()


async def taken() -> None:
    """Wait for the slot of the look that this is part of."""
    slot = _OF_LOOK.get()
    if slot is not None:
        await slot.take()


@contextlib.asynccontextmanager
async def waiting() -> AsyncIterator[None]:
    """Wait within for an answer: without a slot of the look that this is part of, and with one afterwards."""
    slot = _OF_LOOK.get()
    if slot is not None:
        slot.give_back()
    yield
    await taken()
