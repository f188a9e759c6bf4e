"""WAL in pg_wal that nobody would archive, and that the archive lacks: archived here.

* A standby notes every segment that it has streamed as archived, as its primary was to see to that. A primary that dies
  before it had, leaves a hole in the archive at the promotion. One that is ended in a hurry always does: its shutdown
  closes the segment, the standby gets it, and no time is left to archive it.
* Patroni's crash recovery of a primary empties archive_status, whatever still waited there (`ensure_clean_shutdown`):
  PostgreSQL notices only when it would recycle a segment, `wal_keep_size` later.

So notes are not believed: on a primary, what lies in pg_wal is compared with what the archive has, whenever PostgreSQL
was started or promoted, until nothing is missing. A fence waits for that. What has a `.ready` is PostgreSQL's own to
archive.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from agent import foreign_file, last_wal, log, volume
from agent.paths import Paths
from agent.pgbackrest import Runner
from agent.postgres import Control, Postgres
from agent.recovery.archive import Archive, ArchiveError, Place
from agent.sql import PostgresError
from pgwarden.contract.calls import Outcome
from pgwarden.pgbackrest import commands, wal
from pgwarden.pgbackrest.wal import Ancestor, Segment

#: Between two looks whether PostgreSQL was started or promoted; and after one that could not be dealt with.
LOOK_SECONDS, RETRY_SECONDS = 2.0, 15.0
PUSH_SECONDS = 60.0
_MOST_TEXT = 1024 * 1024  # of a history, or of postmaster.pid


@dataclass(frozen=True)
class Local:
    """pg_wal of a primary. *written* are its segments, *waiting* those that PostgreSQL will archive itself. Listed in
    this order, and before the archive: what was complete by then and is in neither, is missing.
    """

    current: Segment  # that it writes
    ancestors: tuple[Ancestor, ...] = ()  # of its timeline, oldest first
    written: tuple[Segment, ...] = ()
    waiting: frozenset[Segment] = frozenset()


def owed(local: Local, archived: Iterable[Segment], size: int) -> list[Segment]:
    """The segments that recovery on the current timeline reads, and nobody archives; oldest first. The one in which a
    timeline ends is there whole of the younger one.
    """
    there, own = {*archived, *local.waiting}, local.current.timeline
    ends = {one.timeline: one.switch // size for one in local.ancestors} | {own: local.current.number}
    missing = [
        one
        for one in local.written
        if one not in there and one.number < ends.get(one.timeline, 0) and wal.belongs(one, own, local.ancestors, size)
    ]
    return sorted(missing, key=lambda one: (one.number, one.timeline))


class MissedWal:
    def __init__(self, postgres: Postgres, runner: Runner, stanza: str, paths: Paths) -> None:
        self._postgres = postgres
        self._runner = runner
        self._stanza = stanza
        self._paths = paths
        self._archive = Archive(runner, stanza, paths.work)
        self._alone = asyncio.Lock()
        self._done: tuple[int, str] | None = None  # the newest timeline and the start that are dealt with
        self._log = log.get("missed-wal")

    @property
    def _data(self) -> Path:
        return Path(self._postgres.data_directory)

    async def run(self) -> None:
        said = ""
        while True:
            pause = LOOK_SECONDS
            try:
                await self.look()
                said = ""
            except (ArchiveError, PostgresError, OSError) as error:
                if str(error) != said:
                    self._log.warning("cannot archive the WAL that nobody else will", error=str(error))
                said, pause = str(error), RETRY_SECONDS
            await asyncio.sleep(pause)

    async def lacks(self, repo: int, seconds: float) -> str:
        """Why storage number *repo* (0: each) lacks WAL of a PostgreSQL that runs, within *seconds*; empty where it
        lacks none, or PostgreSQL does not answer.
        """
        try:
            async with asyncio.timeout(seconds):
                await self.look(repo)
        except TimeoutError:
            return f"WAL that a former primary left in pg_wal is not archived within {seconds:g} s"
        except ArchiveError as error:
            return f"WAL that a former primary left in pg_wal cannot be archived: {error}"
        except (PostgresError, OSError):
            return ""
        return ""

    async def bring_back(self, names: Iterable[str]) -> Outcome:
        """Archive those of *names* that are complete in pg_wal, of a primary or not; `output` says which."""
        done: list[str] = []
        try:
            async with self._alone:
                for name in await asyncio.to_thread(self._complete_here, frozenset(names)):
                    await self._push(name)
                    done.append(name)
        except (ArchiveError, OSError) as error:
            return Outcome(error=str(error), output=", ".join(done))
        return Outcome(ok=True, output=", ".join(done))

    def _complete_here(self, names: frozenset[str]) -> list[str]:
        """PostgreSQL notes what is complete, as a standby too; without a note, a later one of its timeline shows it."""
        folder = self._data / "pg_wal"
        written = last_wal.written(folder)
        last = {name[:8]: name for name in written}
        return [
            name for name in written if name in names and (name < last[name[:8]] or last_wal.is_settled(folder, name))
        ]

    async def look(self, repo: int = 0) -> None:
        """Archive what nobody else will: into each storage that can be read, or into number *repo* alone."""
        async with self._alone:
            began = self._began()
            if began is None or began == self._done or volume.follows(self._data):
                return
            now = await self._postgres.control()
            if not now.wal:
                return  # about to be promoted
            await self._settle(now, repo)
            if not repo:
                self._done = began

    async def _settle(self, now: Control, repo: int) -> None:
        local = await asyncio.to_thread(self._local, now)
        if not owed(local, (), now.segment_size):
            return
        for place in await self._archive.places(now.system_identifier):
            if not place.first or (repo and place.repo != repo):
                continue  # in what has no WAL yet, no WAL is missing
            first = wal.parse_segment(place.first[:24], now.segment_size).number
            newer = tuple(one for one in local.written if one.number >= first)  # the others have expired
            await self._complete(place, replace(local, written=newer), now.segment_size)

    async def _complete(self, place: Place, local: Local, size: int) -> None:
        """So that storage *place* has all. pgBackRest passes over what another one has already."""
        each = 2**32 // size  # one folder of the archive: a look sees no more than the next one
        for _, group in itertools.groupby(owed(local, (), size), key=lambda one: one.number // each):
            part = replace(local, written=tuple(group))
            for one in owed(part, await self._archived(place, part, size), size):
                try:
                    await self._push(one.name(size))
                except ArchiveError:  # of another storage, perhaps
                    if one not in await self._archived(place, part, size):
                        raise

    async def _archived(self, place: Place, part: Local, size: int) -> frozenset[Segment]:
        return (await self._archive.look([place], part.written[0], size)).segments

    async def _push(self, name: str) -> None:
        argv = commands.archive_push_argv(self._stanza, str(self._data / "pg_wal" / name), str(self._paths.conf))
        result = await self._runner.run(argv, PUSH_SECONDS)
        if not result.ok:
            raise ArchiveError(f"{name}: {result.error}")
        self._log.info("archived WAL that nobody else would", file=name)

    def _began(self) -> tuple[int, str] | None:
        """The newest timeline with a history in pg_wal, and PostgreSQL's start; None where either is not to be seen."""
        try:
            names = [one.name for one in (self._data / "pg_wal").iterdir()]
            start = foreign_file.read_text(self._data / "postmaster.pid", _MOST_TEXT).splitlines()[:3]
        except OSError:
            return None
        newest = max((one for name in names if (one := wal.history_timeline(name)) is not None), default=1)
        return newest, " ".join(start)

    def _local(self, now: Control) -> Local:
        folder, size = self._data / "pg_wal", now.segment_size
        current = wal.parse_segment(now.wal, size)
        written = last_wal.written(folder)
        waiting = [name for name in last_wal.waits(folder) if wal.is_segment(name)]
        history = folder / wal.history_name(current.timeline)
        text = foreign_file.read_text(history, _MOST_TEXT) if current.timeline > 1 else ""
        return Local(
            current,
            wal.parse_history(text),
            tuple(wal.parse_segment(name, size) for name in written),
            frozenset(wal.parse_segment(name, size) for name in waiting),
        )
