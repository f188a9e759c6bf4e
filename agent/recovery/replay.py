"""One run of the server: watched, answered when it misses WAL, and shut down once it has promoted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent import log as logs
from agent.recovery import failures
from agent.recovery.archive import Archive, ArchiveError, Place
from agent.recovery.asking import RETRY_SECONDS, until_said
from agent.recovery.failures import Verdict
from agent.recovery.fetching import Fetching
from agent.recovery.orders import TICK_SECONDS, Run, Tail
from agent.recovery.progress import Progress
from agent.recovery.server_log import ServerLog
from pgwarden.contract import recovery
from pgwarden.pgbackrest import wal

#: Between two tries at a segment that is not there yet.
FOLLOW_SECONDS = 1.0
#: So many of those, and the archive is looked at: for a hole, and for a new timeline.
LOOK_EVERY = 15
#: archive-push of several processes may bring a later segment first: a hole is one that is still there after this time.
HOLE_SECONDS = 10.0
#: The same while the server that archives lives: it may be about to bring it.
FOLLOWED_HOLE_SECONDS = 60.0
#: A question may be read before the lines of the log that were written before it.
LOG_SECONDS = 5.0
_CANNOT = "the archive cannot be looked at: "


@dataclass(frozen=True)
class Timelines:
    """Which history is recovered along."""

    base: int  # of the backup
    target: int
    fixed: bool = False  # the user's choice; else the newest one
    ancestors: tuple[wal.Ancestor, ...] = ()


@dataclass
class Ended:
    log: ServerLog
    exit_code: int
    ended_at: str = ""  # the segment that is not in the archive, behind which there is nothing
    hole: Verdict | None = None
    again: bool = False  # there is a new timeline to go on with
    given: str = ""  # the last segment that it was given


@dataclass
class Wanted:
    """What the controller has asked for: to follow, and when that is over."""

    follow: bool = False
    finish: asyncio.Event = field(default_factory=asyncio.Event)


class Replay:
    def __init__(
        self,
        run: Run,
        archive: Archive,
        places: list[Place],
        timelines: Timelines,
        progress: Progress,
        wanted: Wanted,
        target: Mapping[str, str],
        pg_data: Path,
    ) -> None:
        self._run = run
        self._archive = archive
        self._places = places
        self._timelines = timelines
        self._progress = progress
        self._wanted = wanted
        self._target = target
        self._ended = Ended(ServerLog(), -1)
        self._log_tail, self._wal_tail = Tail(run.log), Tail(run.wal)
        self._asks = ""  # the file that an answer is waited for
        self._fetching = Fetching(archive, pg_data / "pg_wal")
        self._given: wal.Segment | None = None  # the last one that it was given, in this run
        self._task: asyncio.Task[None] | None = None
        self._stopping: signal.Signals | None = None
        self._logger = logs.get("recovery")

    async def watch(self) -> Ended:
        """Until the server has ended."""
        answers = os.open(self._run.answers, os.O_RDWR | os.O_NONBLOCK)
        try:
            while True:
                code = self._run.exit_code()  # before the files: what is written until then is read
                self._read()
                if code is not None:
                    self._ended.exit_code = code
                    return self._ended
                over = self._ended.hole or self._ended.again
                if self._asks and not over and (self._task is None or self._task.done()):
                    self._task = asyncio.create_task(self._answer(self._asks, answers))
                if self._fetching.is_due and not over and (self._task is None or self._task.done()):
                    self._task = asyncio.create_task(self._look_at_fetching())
                self._stop_when_due()
                await asyncio.sleep(TICK_SECONDS)
        finally:
            if self._task is not None:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)
            os.close(answers)

    def _read(self) -> None:
        now, seen, progress = time.time(), self._ended.log, self._progress
        for line in self._log_tail.lines():
            seen.feed(line)
            progress.log.append(line)
        for line in self._wal_tail.lines():
            name, _, code = line.partition(" ")
            self._asks = name if code == "?" else ""
            if code == ">":
                self._fetching.begins(name)
            elif self._fetching.ended():
                progress.stands()
            if code == "0" and wal.is_segment(name):
                given = wal.parse_segment(name, progress.size)
                self._given = max(self._given or given, given, key=lambda one: one.number)
                self._ended.given = self._given.name(progress.size)
                if name[8:] >= self._ended.ended_at[8:]:
                    self._ended.ended_at = ""  # it was there of another timeline
                progress.replayed(name, now)
        progress.last_replay_time = seen.last_commit or progress.last_replay_time
        if seen.ready or self._stopping:
            progress.at(recovery.STOPPING, now)
        elif seen.redo_done or seen.promoted or self._ended.ended_at:
            progress.at(recovery.PROMOTING, now)
        elif (seen.started or progress.segment) and progress.phase in {"", recovery.COPYING, recovery.STARTING}:
            progress.at(recovery.REPLAYING, now)

    def _stop_when_due(self) -> None:
        """A fast shutdown once it has promoted; an immediate one where it must not."""
        wanted = signal.SIGQUIT if self._ended.hole or self._ended.again else signal.SIGINT
        due = self._ended.hole or self._ended.again or self._ended.log.ready
        if due and self._stopping != wanted and self._run.signal(wanted):
            self._stopping = wanted

    async def _look_at_fetching(self) -> None:
        name = self._fetching.name
        found = await self._fetching.look(self._progress.size)
        if found is None or self._fetching.name != name:  # it has come meanwhile
            return
        self._progress.stands(found.reason, found.message)
        if found.final:
            self._ended.hole = found

    # --- a segment that is not there ----------------------------------------------------------------------------------

    async def _answer(self, name: str, answers: int) -> None:
        """Wait until it can be said whether *name* is to be tried again, or is the end; and say so."""
        word = await self._word(name)
        if word and self._asks == name:
            self._asks = ""
            os.write(answers, f"{word} {name}\n".encode())

    async def _word(self, name: str) -> str:
        """`again`, `end`, `partial` (all that the archive has of it), or empty where the server is to be stopped."""
        if not wal.is_segment(name):
            return await self._history(name)
        if self._wanted.follow and not self._wanted.finish.is_set():
            return await self._follow(name)
        if self._wanted.follow and self._tried_before_finish(name):
            return "again"
        return await self._end_or_hole(name)

    async def _history(self, _name: str) -> str:
        """Asked for at the start, and once more before it promotes. Where that is because a record is not valid, and
        not because the target is reached or the WAL is at its end, there must be nothing behind.
        """
        seen = self._ended.log
        if self._given is None:
            return "end"
        deadline = time.monotonic() + LOG_SECONDS  # its log comes by another way than its question
        while not (seen.redo_done or seen.stopped_at_target) and time.monotonic() < deadline:  # noqa: ASYNC110  as above
            await asyncio.sleep(TICK_SECONDS)
        if not seen.redo_done or seen.stopped_at_target or self._ended.ended_at:
            return "end"
        size, cut = self._progress.size, self._given.name(self._progress.size) == self._partial
        behind, damaged = await self._behind(self._given), not cut and await self._is_damaged(self._given)
        if behind or damaged:
            there = behind.name(size) if behind else ""
            self._ended.hole = failures.corrupt(self._given.name(size), there, seen.invalid, damaged=damaged)
            return ""
        if self._wanted.follow and not self._wanted.finish.is_set():
            # Such as a segment that an older timeline had begun: it goes on with the newer one's, once that is there.
            self._progress.at(recovery.FOLLOWING, time.time())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.finish.wait(), FOLLOW_SECONDS * LOOK_EVERY)
            self._ended.again = True
            return ""
        return "end"

    async def _is_damaged(self, segment: wal.Segment) -> bool:
        return await until_said(
            self._progress, lambda: self._archive.is_damaged(self._places, segment, self._progress.size), _CANNOT
        )

    async def _behind(self, last: wal.Segment) -> wal.Segment | None:
        """What the archive has of this history behind *last*."""
        size, known = self._progress.size, self._timelines
        look = await until_said(self._progress, lambda: self._archive.look(self._places, last, size), _CANNOT)
        return wal.first_behind(last, look.segments, known.target, known.ancestors, size)

    def _tried_before_finish(self, name: str) -> bool:
        """The try that has failed may have begun before all was archived: there has to be one more."""
        before = self._last_try != name
        self._last_try = name
        return before

    _last_try = ""

    async def _follow(self, name: str) -> str:
        progress = self._progress
        if self._following != name:
            self._following, self._tries, self._hole_since = name, 0, None
        self._tries += 1
        if (
            self._tries % LOOK_EVERY == 1 or self._hole_since is not None
        ):  # the first time before it says that it follows
            if await self._look_around(name):
                return "end"
            if self._ended.again or self._ended.hole:
                return ""
        progress.at(recovery.FOLLOWING, time.time())
        try:
            await asyncio.wait_for(self._wanted.finish.wait(), FOLLOW_SECONDS)
        except TimeoutError:
            return "again"
        return await self._word(name)

    _following, _tries = "", 0
    _hole_since: float | None = None  # since when the segment has been missing, with others behind it
    _partial = ""  # the segment that was given as far as the archive has it

    async def _look_around(self, name: str) -> bool:
        """Whether the segment is there of another timeline, which PostgreSQL asks for next. Else a new timeline ends
        the run, and a hole is told.
        """
        progress = self._progress
        missing = wal.parse_segment(name, progress.size)
        try:
            look = await self._archive.look(self._places, missing, progress.size)
        except ArchiveError as error:
            progress.stands("StorageNotReadable", str(error))
            return False
        known = self._timelines
        if not known.fixed and wal.newest(look.timelines, known.base) > known.target:
            self._logger.info("the archive has a new timeline", timelines=sorted(look.timelines))
            self._ended.again = True
            return False
        if wal.elsewhere(missing, look.segments):
            return True
        behind = wal.first_behind(missing, look.segments, known.target, known.ancestors, progress.size)
        if behind is None:
            self._hole_since = None
            progress.stands()
            return False
        said = _hole(name, behind.name(progress.size))
        progress.stands("MissingSegment", said)
        self._hole_since = self._hole_since or time.monotonic()
        if time.monotonic() - self._hole_since > FOLLOWED_HOLE_SECONDS:
            self._ended.hole = Verdict("MissingSegment", said)
        return False

    async def _end_or_hole(self, name: str) -> str:
        progress, known = self._progress, self._timelines
        missing = wal.parse_segment(name, progress.size)
        deadline: float | None = None
        while True:
            try:
                look = await self._archive.look(self._places, missing, progress.size)
            except ArchiveError as error:
                progress.stands(
                    "StorageNotReadable", f"{name} is not there, and the archive cannot be looked at: {error}"
                )
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if missing in look.segments:
                return "again"
            if wal.elsewhere(missing, look.segments):
                return "end"
            behind = wal.first_behind(missing, look.segments, known.target, known.ancestors, progress.size)
            if behind is None:
                progress.stands()
                if missing in look.partial and self._partial != name:
                    self._partial = name
                    return "partial"
                self._ended.ended_at = name
                return "end"
            said = _hole(name, behind.name(progress.size))
            progress.stands("MissingSegment", said)
            deadline = deadline or time.monotonic() + HOLE_SECONDS
            if time.monotonic() > deadline:
                self._ended.hole = Verdict("MissingSegment", said)
                return ""
            await asyncio.sleep(1.0)


def _hole(missing: str, behind: str) -> str:
    return (
        f"{missing} is missing in the archive, {behind} is there; restore to a moment before it (spec.target), or a "
        f"newer set (spec.set)"
    )
