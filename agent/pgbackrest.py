"""Running pgBackRest: an argument list, a time limit, its lines as they come, and its own words for what went wrong."""

from __future__ import annotations

import asyncio
import codecs
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from agent import dead_peers, memory_bound
from agent.children import Children, terminate
from agent.paths import Paths
from pgwarden.pgbackrest import trouble
from pgwarden.pgbackrest.output import error_line

OnLine = Callable[[str], None]
#: pgBackRest leaves its locks and says why it ended within this time after SIGTERM.
GRACE_SECONDS = 10.0
#: Of each stream at most the last so many characters are kept: `info` of thousands of backups fits.
KEPT_CHARACTERS = 32 * 1024 * 1024
#: Commands that read what a storage lists, and compress nothing.
_ASK = frozenset({"info", "repo-ls", "stanza-create"})


@dataclass(frozen=True)
class Result:
    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool = False
    silent: str = ""  # the address of a peer that acknowledged nothing any more

    @property
    def output(self) -> str:
        return "\n".join(part for part in (self.stdout, self.stderr) if part)

    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    @property
    def error(self) -> str:
        """Empty where it went well. A storage may answer any length, and pgBackRest repeats it."""
        if self.ok:
            return ""
        if self.timed_out:
            return f"no result within {self.seconds:.0f} s"
        if self.silent:
            return f"{self.silent} acknowledges nothing any more: its node, or the way to it, is gone"
        return (error_line(self.output) or _otherwise(self))[: trouble.MOST]


def _otherwise(result: Result) -> str:
    lines = result.output.splitlines()
    last = f": {lines[-1].strip()}" if lines else ""
    by = f"was ended by signal {-result.exit_code}" if result.exit_code < 0 else f"exited with {result.exit_code}"
    return f"pgbackrest {by}{last}"


class Runner:
    def __init__(self, paths: Paths, children: Children) -> None:
        self._paths = paths
        self._children = children
        self._most = memory_bound.of_container()

    def command(self, args: Sequence[str]) -> list[str]:
        """*args* with the program and where its configuration is, unless they say that themselves.

        A configuration that *args* name is whole: without --config-include-path pgBackRest reads no other file then.
        """
        if list(args) == ["version"]:
            return [str(self._paths.pgbackrest), "version"]  # the one command that knows no options
        own = [f"--config={self._paths.conf_file}", f"--config-include-path={self._paths.include}"]
        named = any(arg.startswith("--config=") for arg in args)
        return [str(self._paths.pgbackrest), *([] if named else own), *args]

    async def run(
        self, args: Sequence[str], seconds: float | None, on_line: OnLine | None = None, *, keep: int = KEPT_CHARACTERS
    ) -> Result:
        """Cancelled, it ends pgBackRest with SIGTERM and waits for it. Without a limit (*seconds*) it must be the only
        one that runs in the pod: it is ended when a peer is silent (agent/dead_peers.py).
        """
        started = time.monotonic()
        async with self._children.start(self.command(args), capture=True) as process:
            if not _ASK.isdisjoint(args):
                memory_bound.put(process.pid, self._most)
            streams = [asyncio.create_task(_read(stream, on_line, keep)) for stream in (process.stdout, process.stderr)]
            timed_out, silent = False, ""
            try:
                if seconds is None:
                    silent = await _until_silent(process)
                else:
                    await asyncio.wait_for(process.wait(), seconds)
            except TimeoutError:
                timed_out = True
                await terminate(process, GRACE_SECONDS)
            except asyncio.CancelledError:
                await terminate(process, GRACE_SECONDS)
                raise
            finally:
                # A grandchild may still hold the pipe: what it writes later is not waited for.
                await asyncio.wait(streams, timeout=5)
                for stream in streams:
                    stream.cancel()
            stdout, stderr = ("" if task.cancelled() or not task.done() else task.result() for task in streams)
        code = process.returncode if process.returncode is not None else -1
        return Result(code, stdout, stderr, time.monotonic() - started, timed_out, silent)


async def _until_silent(process: asyncio.subprocess.Process) -> str:
    """Until *process* has ended; where that is because a peer is silent, its address."""
    ended, watch = asyncio.create_task(process.wait()), asyncio.create_task(dead_peers.wait_for_one())
    try:
        await asyncio.wait((ended, watch), return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            return ""
        await terminate(process, GRACE_SECONDS)
        return watch.result()
    finally:
        for task in (ended, watch):
            task.cancel()
        await asyncio.gather(ended, watch, return_exceptions=True)


class _Lines:
    """Bytes in pieces → lines. Not StreamReader.readline, which refuses the one long line of `info --output=json`."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest: list[str] = []

    def feed(self, piece: bytes, *, final: bool = False) -> Iterator[str]:
        *whole, rest = self._decoder.decode(piece, final).split("\n")
        for line in whole:
            yield "".join([*self._rest, line])
            self._rest = []
        if rest:
            self._rest.append(rest)
        if final and self._rest:
            yield "".join(self._rest)
            self._rest = []


async def _read(stream: asyncio.StreamReader | None, on_line: OnLine | None, keep: int) -> str:
    if stream is None:
        return ""
    kept: deque[str] = deque()
    size = 0
    lines = _Lines()
    while True:
        piece = await stream.read(65536)
        for raw in lines.feed(piece, final=not piece):
            # S3 services repeat the access key in their answers, and pgBackRest prints those.
            line = trouble.redact(raw)
            if on_line is not None:
                on_line(line)
            kept.append(line)
            size += len(line) + 1
            while size > keep and len(kept) > 1:
                size -= len(kept.popleft()) + 1
        if not piece:
            return "\n".join(kept)
