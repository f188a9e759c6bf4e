"""`pgbackrest server` as a child: started with a first configuration, reloaded with each new one, restarted at its end.

What pgBackRest (2.60, src/command/server/server.c) does with signals: SIGHUP interrupts accept(), loads the
configuration file, certificate, key and CA anew and listens again; running sessions are processes of their own and go
on. A configuration that cannot be loaded ends the server: it is then started again here, with a back-off. SIGTERM ends
its sessions and itself. It never waits for its sessions (SA_NOCLDWAIT), so none becomes a zombie while it lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time

from agent import log
from agent.children import Children, terminate
from agent.pgbackrest import Runner

FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0
#: A server that ran this long starts again without the delays of its predecessors.
HEALTHY_SECONDS = 60.0
#: Before that its handler may not be there yet, and SIGHUP would end it.
SETTLE_SECONDS = 1.0
STOP_SECONDS = 5.0


class Supervisor:
    def __init__(self, runner: Runner, children: Children) -> None:
        self._runner = runner
        self._children = children
        self._configured = asyncio.Event()
        self._changed = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._started = 0.0
        self.restarts = 0
        self._log = log.get("supervisor")

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def reload(self) -> None:
        """The configuration is there, or another one: start, or have it read."""
        self._configured.set()
        self._changed.set()  # ends a back-off
        if not self.running:
            return
        await asyncio.sleep(max(0.0, self._started + SETTLE_SECONDS - time.monotonic()))
        if self._process is not None and self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGHUP)
            self._log.info("pgbackrest server reloads")

    async def run(self) -> None:
        """Until cancelled."""
        await self._configured.wait()
        delay = FIRST_DELAY
        while True:
            self._changed.clear()
            code = await self._serve_once()
            lasted = time.monotonic() - self._started
            delay = FIRST_DELAY if lasted > HEALTHY_SECONDS else min(delay * 2, LONGEST_DELAY)
            self._log.warning("pgbackrest server ended", exit_code=code, after=round(lasted, 1), restart_in=delay)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), delay)
            self.restarts += 1

    async def _serve_once(self) -> int:
        self._started = time.monotonic()
        try:
            async with self._children.start(self._runner.command(["server"]), capture=False) as process:
                self._process = process
                self._log.info("pgbackrest server started", pid=process.pid)
                try:
                    return await process.wait()
                except asyncio.CancelledError:
                    await terminate(process, STOP_SECONDS)
                    raise
        except OSError as error:
            self._log.error("pgbackrest server cannot be started", error=str(error))
            return -1
        finally:
            self._process = None
