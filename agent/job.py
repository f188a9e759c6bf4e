"""`python3 -m agent job backup|expire -- ARGS…`, and `job own` for a fresh volume.

pgBackRest's lines go to stdout as they come; the result is a JSON object in the container's termination message.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from pathlib import Path

import msgspec

from agent import log, volume
from agent.children import Children
from agent.outcome import Seen, message
from agent.paths import Paths
from agent.pgbackrest import Result, Runner
from agent.restoring import with_command
from agent.sync import Syncer
from pgwarden.api import names
from pgwarden.contract.job_result import JobResult

#: How long a Job waits for its configuration. Its volumes are mounted before it starts; this is for the slow ones.
SOURCE_SECONDS = 60.0
#: Of pgBackRest's output this much is kept, to find its error in.
KEPT_CHARACTERS = 256 * 1024


class JobError(Exception):
    """The Job fails before pgBackRest runs."""


def main(argv: list[str], paths: Paths | None = None) -> int:
    own_args, args = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    flags = _parser().parse_args(own_args)
    log.configure()
    if flags.kind == "own":
        return _own(flags)
    return asyncio.run(Job(flags, args, paths or Paths()).run())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="agent job")
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("backup", help="run `pgbackrest ARGS… backup`")
    kinds.add_parser("expire", help="run `pgbackrest ARGS… expire`")
    own = kinds.add_parser("own", help="give a fresh volume's root to a user")
    own.add_argument("--path", type=Path, required=True)
    own.add_argument("--uid", type=int, required=True)
    own.add_argument("--gid", type=int, required=True)
    return parser


def _own(flags: argparse.Namespace) -> int:
    try:
        sys.stdout.write(volume.own(flags.path, flags.uid, flags.gid) + "\n")
    except (volume.VolumeError, OSError) as error:
        sys.stderr.write(f"agent job own: {error}\n")
        return 1
    return 0


class Job:
    def __init__(self, flags: argparse.Namespace, args: list[str], paths: Paths) -> None:
        self._flags = flags
        self._args = args
        self._paths = paths
        self._runner = Runner(paths, Children())
        self._seen = Seen()
        self._stopped = ""

    async def run(self) -> int:
        started = time.monotonic()
        task = asyncio.create_task(self._work())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop, task, number)
        code, error = -1, ""
        try:
            result = await task
            code, error = result.exit_code, result.error
        except asyncio.CancelledError:
            error = f"ended by {self._stopped} before it was done"
        except (JobError, OSError) as failure:
            error = str(failure)
        if self._stopped and code != 0 and self._stopped not in error:
            error = f"{error} (after {self._stopped})"
        self._report(code, error, round(time.monotonic() - started, 1))
        return 0 if code == 0 else 1

    def _stop(self, task: asyncio.Task[Result], number: signal.Signals) -> None:
        """The kubelet ends us (deletion, deadline, drain): so does pgBackRest, which gives its locks back."""
        self._stopped = signal.Signals(number).name
        task.cancel()

    async def _work(self) -> Result:
        await self._configure()
        return await self._runner.run(
            with_command(self._args, self._flags.kind), None, self._line, keep=KEPT_CHARACTERS
        )

    async def _configure(self) -> None:
        deadline = time.monotonic() + SOURCE_SECONDS
        while True:
            planned, _ = Syncer(self._paths, names.KEY_HOST_CONF).sync()
            if not planned.missing:
                return
            if time.monotonic() > deadline:
                raise JobError(f"no configuration within {SOURCE_SECONDS:g} s: {', '.join(planned.missing)} missing")
            await asyncio.sleep(0.5)

    def _line(self, line: str) -> None:
        self._seen.line(line)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def _report(self, code: int, error: str, seconds: float) -> None:
        result = JobResult(
            ok=code == 0,
            exit_code=code,
            error=error,
            label=self._seen.label,
            expired=tuple(self._seen.expired),
            seconds=seconds,
        )
        with contextlib.suppress(OSError):  # without one the exit code still says it
            self._paths.termination_log.write_bytes(message(result))
        log.get("job").info("job ends", **msgspec.to_builtins(result))
