"""Subprocesses, and being PID 1.

The agent is the first process of its container, so whatever pgBackRest leaves behind (a session whose server has
died) becomes our child and, once it ends, stays a zombie until we wait for it. Waiting for "any child" would take exit
codes away from asyncio; so the reaper looks first (WNOWAIT) and takes only what was not started here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence

#: How often adopted zombies are looked for. They hold nothing but a process id.
REAP_SECONDS = 10.0


class Children:
    """Every subprocess of this program is started here."""

    def __init__(self) -> None:
        self._own: set[int] = set()
        self._starting = 0

    @contextlib.asynccontextmanager
    async def start(
        self, command: Sequence[str], *, capture: bool, limit: int = 65536
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """The process, killed if it is still there at the end. Without *capture* it writes to our stdout and stderr."""
        pipe = asyncio.subprocess.PIPE if capture else None
        self._starting += 1
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, limit=limit
            )
            self._own.add(process.pid)
        finally:
            self._starting -= 1
        try:
            yield process
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await asyncio.shield(process.wait())
            self._own.discard(process.pid)

    def reap(self) -> int:
        """Reaps zombies that are not our own children; returns how many."""
        taken = 0
        while not self._starting:  # a process between its fork and its registration looks like a stranger
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if found is None or found.si_pid == 0 or found.si_pid in self._own:
                break  # asyncio reaps our own child; the rest is reaped at the next call
            os.waitpid(found.si_pid, os.WNOHANG)
            taken += 1
        return taken

    async def keep_reaping(self) -> None:
        while True:
            await asyncio.sleep(REAP_SECONDS)
            self.reap()


async def terminate(process: asyncio.subprocess.Process, grace: float) -> int:
    """SIGTERM, then after *grace* seconds SIGKILL. The exit code."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        return await asyncio.wait_for(process.wait(), grace)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        return await process.wait()
