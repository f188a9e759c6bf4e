"""After a promotion: the WAL that the former primary had completed and never archived.

A standby notes every segment that it has streamed as archived, as its primary was to see to that. A primary that died
before it had, leaves a hole in the archive at the promotion: recovery would take it for the end of the WAL. So the new
primary's agent archives what the archive lacks of the timelines before, as far as pg_wal has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from agent import last_wal, log, volume
from agent.paths import Paths
from agent.pgbackrest import Runner
from agent.postgres import Postgres
from agent.recovery.archive import Archive, ArchiveError
from agent.sql import PostgresError
from pgwarden.pgbackrest import commands, wal
from pgwarden.pgbackrest.wal import Ancestor, Segment

#: Between two looks whether there was a promotion; and after one that could not be dealt with.
LOOK_SECONDS, RETRY_SECONDS = 2.0, 15.0
PUSH_SECONDS = 60.0


def owed(
    local: Iterable[str], archived: Iterable[Segment], target: int, ancestors: tuple[Ancestor, ...], size: int
) -> list[str]:
    """Of the segments in pg_wal (*local*), those of earlier timelines that recovery on *target* reads and that are not
    in the archive, oldest first. The one with a switch is there of the younger timeline.
    """
    there, switches = set(archived), {one.switch // size for one in ancestors}
    found = [wal.parse_segment(name, size) for name in local if wal.is_segment(name)]
    missing = [
        one
        for one in found
        if one.timeline != target
        and one not in there
        and one.number not in switches
        and wal.belongs(one, target, ancestors, size)
    ]
    return [one.name(size) for one in sorted(missing, key=lambda one: (one.number, one.timeline))]


class Promoted:
    def __init__(self, postgres: Postgres, runner: Runner, stanza: str, paths: Paths) -> None:
        self._postgres = postgres
        self._runner = runner
        self._stanza = stanza
        self._paths = paths
        self._archive = Archive(runner, stanza, paths.work)
        self._data = Path(postgres.data_directory)
        self._done = 0  # the timeline whose beginning is dealt with
        self._log = log.get("promoted")

    async def run(self) -> None:
        while True:
            pause = LOOK_SECONDS
            try:
                await self.look()
            except (ArchiveError, PostgresError, OSError) as error:
                self._log.warning("cannot archive what the former primary left", error=str(error))
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def look(self) -> None:
        timeline = self._newest()
        if timeline <= self._done or volume.follows(self._data):
            return
        now = await self._postgres.control()
        if now.in_recovery:
            return
        await self._push(timeline, now.system_identifier, now.segment_size)
        self._done = timeline

    def _newest(self) -> int:
        """Of the timelines that have a history in pg_wal."""
        try:
            names = [one.name for one in (self._data / "pg_wal").iterdir()]
        except OSError:
            return 0  # not to be seen here, or not made yet
        return max((one for name in names if (one := wal.history_timeline(name)) is not None), default=0)

    async def _push(self, timeline: int, system_identifier: str, size: int) -> None:
        folder = self._data / "pg_wal"
        ancestors = wal.parse_history((folder / wal.history_name(timeline)).read_text("utf-8", "replace"))
        local = [one.name for one in folder.iterdir() if wal.is_segment(one.name) and last_wal.is_written(one)]
        first = owed(local, (), timeline, ancestors, size)
        if not first:
            return
        for place in await self._archive.places(system_identifier):
            look = await self._archive.look([place], wal.parse_segment(first[0], size), size)
            for name in owed(local, look.segments, timeline, ancestors, size):
                argv = commands.archive_push_argv(self._stanza, str(folder / name), str(self._paths.conf))
                result = await self._runner.run(argv, PUSH_SECONDS)
                if not result.ok:
                    raise ArchiveError(result.error)
                self._log.info("archived what the former primary had not", file=name, repo=place.repo)
