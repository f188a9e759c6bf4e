"""pgBackRest's `backup` or `expire` in a pod of its own, to its end, and the result of it.

A backup looks into the repository before it copies anything, and after pgBackRest has failed: what counts is the set.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time

import msgspec
from msgspec.structs import replace

from agent import door, log, work_done
from agent.backup_progress import BackupProgress
from agent.children import Children
from agent.log_level import LogLevel
from agent.outcome import Seen, message
from agent.own_set import LookError, OwnSet
from agent.paths import Paths
from agent.pgbackrest import Runner
from agent.restoring import with_command
from agent.server import Server
from pgwarden import __version__
from pgwarden.api import names
from pgwarden.contract.environment import Role
from pgwarden.contract.job_result import JobResult
from pgwarden.contract.status import Status
from pgwarden.pgbackrest.info import BackupSet

#: How long a Job waits for its configuration. Its volumes are mounted before it starts; this is for the slow ones.
SOURCE_SECONDS = 60.0
#: Of pgBackRest's output this much is kept, to find its error in.
KEPT_CHARACTERS = 256 * 1024
#: Between two tries to read what is in the repository.
LOOK_AGAIN_SECONDS = 5.0
INTERRUPTED = "the pod before was ended when its set was complete, so sets that retention no longer covers may be left"


class JobError(Exception):
    """The Job fails before pgBackRest runs."""


class Job:
    """*kind* is backup or expire, *args* are pgBackRest's."""

    def __init__(self, kind: str, args: list[str], paths: Paths) -> None:
        self._kind = kind
        self._args = args
        self._paths = paths
        self._runner = Runner(paths, Children())
        self._own_set = OwnSet(self._runner, args)
        self._seen = Seen()
        self._progress = BackupProgress()
        self._configuration = door.Configuration(paths, names.KEY_HOST_CONF)
        #: How far a backup is, is told by lines that the user may not have asked to see.
        self._level = LogLevel(args) if kind == "backup" else None
        self._stopped = ""

    async def run(self) -> int:
        started = time.monotonic()
        server = Server(self._paths, door.application(self.status))
        async with door.kept(self._configuration, server):
            result = await self._result()
        result = replace(result, seconds=round(time.monotonic() - started, 1))
        with contextlib.suppress(OSError):  # without one the exit code still says it
            self._paths.termination_log.write_bytes(message(result))
        log.get("job").info("job ends", **msgspec.to_builtins(result))
        return 0 if result.ok else 1

    def status(self) -> Status:
        """What is answered meanwhile."""
        if self._kind == "backup":
            self._progress.works(work_done.work(), time.time())
        told = self._progress.told() if self._kind == "backup" else None
        digest = self._configuration.digest
        return Status(role=Role.REPOSITORY.value, version=__version__, config_hash=digest, backup=told)

    async def _result(self) -> JobResult:
        task = asyncio.create_task(self._work())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop, task, number)
        try:
            result = await task
        except asyncio.CancelledError:
            result = self._failed(-1, f"ended by {self._stopped} before it was done")
        except (JobError, OSError) as failure:
            result = self._failed(-1, str(failure))
        if self._stopped and not result.ok and self._stopped not in result.error:
            result = replace(result, error=f"{result.error} (after {self._stopped})")
        return result

    def _stop(self, task: asyncio.Task[JobResult], number: signal.Signals) -> None:
        """The kubelet ends us (deletion, deadline, drain): so does pgBackRest, which gives its locks back."""
        self._stopped = signal.Signals(number).name
        task.cancel()

    async def _work(self) -> JobResult:
        await self._configured()
        self._progress.begins(time.time())
        before = await self._made_before() if self._kind == "backup" else None
        if before is not None:
            return JobResult(ok=True, label=before.label, expiry_error=INTERRUPTED)
        done = await self._runner.run(self._arguments(), None, self._line, keep=KEPT_CHARACTERS)
        if done.ok:
            return self._ended(JobResult(ok=True, label=self._seen.label))
        made = await self._made() if self._kind == "backup" else None
        if made is None:
            return self._failed(done.exit_code, done.error)
        return self._ended(JobResult(ok=True, exit_code=done.exit_code, label=made.label, expiry_error=done.error))

    def _arguments(self) -> list[str]:
        if self._level is None:
            return with_command(self._args, self._kind)
        return with_command(self._level.others(self._args), self._kind, self._level.asked)

    def _ended(self, result: JobResult) -> JobResult:
        return replace(result, expired=tuple(self._seen.expired), note=self._seen.note)

    def _failed(self, code: int, error: str) -> JobResult:
        return self._ended(JobResult(ok=False, exit_code=code, error=error, label=self._seen.label))

    async def _configured(self) -> None:
        try:
            await asyncio.wait_for(self._configuration.ready.wait(), SOURCE_SECONDS)
        except TimeoutError:
            missing = ", ".join(self._configuration.missing) or "its folder"
            raise JobError(f"no configuration within {SOURCE_SECONDS:g} s: {missing} missing") from None

    async def _made_before(self) -> BackupSet | None:
        """What a pod before this one has made. Nothing is copied while that is not known."""
        for last in (False, False, True):
            try:
                return await self._own_set.find()
            except LookError as error:
                if last:
                    raise JobError(f"nothing was copied, as the repository cannot be read: {error}") from error
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        return None

    async def _made(self) -> BackupSet | None:
        """What this one has made, though pgBackRest has failed. If that cannot be read, the next pod will look."""
        try:
            return await self._own_set.find()
        except LookError as error:
            log.get("job").warning("whether the set is complete cannot be read", error=str(error))
            return None

    def _line(self, line: str) -> None:
        self._seen.line(line)
        self._progress.line(line, time.time())
        if self._level is None or self._level.shows(line):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
