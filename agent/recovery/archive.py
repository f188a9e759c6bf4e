"""What the archive has: by `pgbackrest info`, and by `repo-ls` near a segment that it does not give."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from agent.pgbackrest import Result, Runner
from pgwarden.api import outside
from pgwarden.pgbackrest import commands, wal
from pgwarden.pgbackrest.info import InfoError, parse_info

T = TypeVar("T")
SECONDS = 300.0
MOST = 32 * 1024 * 1024
_FOLDER = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})")


class ArchiveError(Exception):
    """It cannot be read now. The message is pgBackRest's."""


@dataclass(frozen=True)
class Place:
    """The WAL of one PostgreSQL cluster in one storage."""

    repo: int
    id: str  # such as 17-1
    last: str = ""  # the name of its last segment
    first: str = ""  # and of its first


@dataclass(frozen=True)
class Look:
    """*segments*: some, of each timeline the first ones from the asked one on. *timelines*: that have a history.
    *partial*: segments that were archived before they were full, as the last ones of their timelines.
    """

    segments: frozenset[wal.Segment] = frozenset()
    partial: frozenset[wal.Segment] = frozenset()
    timelines: frozenset[int] = frozenset()


class Archive:
    """*config*: arguments that name the configuration, where it is not the usual one. *chosen*: pgBackRest's number of
    the storage without which nothing can be said; without one, any that can be read will do.
    """

    def __init__(
        self, runner: Runner, stanza: str, work: Path, config: Sequence[str] = (), chosen: int | None = None
    ) -> None:
        self._runner = runner
        self._stanza = stanza
        self._work = work
        self._config = list(config)
        self._chosen = chosen

    async def places(self, system_identifier: str) -> list[Place]:
        """Where WAL of that cluster is. ArchiveError where no storage could be read."""
        text = await self._run(commands.info_argv(self._stanza))
        try:
            info = parse_info(outside.decode_loose(text, most=MOST) or [], self._stanza)
        except InfoError as error:
            raise ArchiveError(str(error)) from error
        if info is None:
            raise ArchiveError(f"the repository has no stanza {self._stanza}")
        troubles = [said for repo in info.repos if (said := info.trouble(repo.repo))]
        if troubles and (len(troubles) == len(info.repos) or (self._chosen and info.trouble(self._chosen))):
            raise ArchiveError("; ".join(troubles))
        own = {(base.repo, base.id) for base in info.databases if base.system_id == system_identifier}
        return [
            Place(one.repo, one.id, one.max, one.min)
            for one in info.archives
            if (one.repo, one.database_id) in own and not info.trouble(one.repo)
        ]

    async def timelines(self, places: Iterable[Place]) -> frozenset[int]:
        """Those that have a history."""
        places = list(places)
        listed = await self._each(places, [self._list(place.repo, self._top(place)) for place in places])
        found = (wal.history_timeline(name) for names in listed for name in names)
        return frozenset(one for one in found if one is not None)

    async def look(self, places: Iterable[Place], at: wal.Segment, size: int) -> Look:
        """What there is from segment *at* on."""
        places = list(places)
        looks = await self._each(places, [self._look(place, at, size) for place in places])
        return Look(
            frozenset(one for look in looks for one in look.segments),
            frozenset(one for look in looks for one in look.partial),
            frozenset(one for look in looks for one in look.timelines),
        )

    async def _look(self, place: Place, at: wal.Segment, size: int) -> Look:
        top = self._top(place)
        names = await self._list(place.repo, top)
        timelines = frozenset(one for name in names if (one := wal.history_timeline(name)) is not None)
        listed = []
        for folder in folders_from(names, int(at.name(size)[8:16], 16)):
            listed += await self._list(place.repo, f"{top}/{folder}")
        whole, partial = wal.archived(listed, size)
        near = [frozenset(one for one in found if one.number >= at.number) for found in (whole, partial)]
        return Look(near[0], near[1], timelines)

    async def fault(self, name: str) -> str:
        """What pgBackRest says where it cannot give *name*, neither as a file nor as one that is not there."""
        target = self._work / f"{name}.read"
        try:
            result = await self._get(name, target)
        finally:
            target.unlink(missing_ok=True)
        return "" if result.ok or result.exit_code == 1 else result.error

    async def is_damaged(self, places: Iterable[Place], segment: wal.Segment, size: int) -> bool:
        """Whether what the archive gives is not what was archived: the names of its files have their SHA-1."""
        name, target = segment.name(size), self._work / f"{segment.name(size)}.read"
        places = list(places)
        listed = await self._each(
            places, [self._list(place.repo, f"{self._top(place)}/{name[:16]}") for place in places]
        )
        sums = wal.checksums((one for names in listed for one in names), name)
        try:
            result = await self._get(name, target)
            if not result.ok:
                return False
            return bool(sums) and await asyncio.to_thread(_sha1, target) not in sums
        except OSError as error:
            raise ArchiveError(str(error)) from error
        finally:
            target.unlink(missing_ok=True)

    async def _get(self, name: str, target: Path) -> Result:
        args = [*self._config, *commands.archive_get_argv(self._stanza, name, str(target))]
        try:
            return await self._runner.run(args, SECONDS)
        except OSError as error:
            raise ArchiveError(str(error)) from error

    async def history(self, timeline: int) -> tuple[wal.Ancestor, ...]:
        """Of *timeline*; none where the archive has no such file."""
        target = self._work / f"{wal.history_name(timeline)}.read"
        try:
            result = await self._get(wal.history_name(timeline), target)
            if result.exit_code == 1:
                return ()
            if not result.ok:
                raise ArchiveError(result.error)
            return wal.parse_history(target.read_text("utf-8", "replace"))
        except OSError as error:
            raise ArchiveError(str(error)) from error
        finally:
            target.unlink(missing_ok=True)

    async def _each(self, places: list[Place], asked: list[Coroutine[Any, Any, T]]) -> list[T]:
        """What can be had; ArchiveError where that is nothing, or not the storage that counts."""
        answers = await asyncio.gather(*asked, return_exceptions=True)
        found, failed = [], []
        for place, answer in zip(places, answers, strict=True):
            if not isinstance(answer, BaseException):
                found.append(answer)
            elif not isinstance(answer, ArchiveError) or place.repo == self._chosen:
                raise answer
            else:
                failed.append(answer)
        if failed and not found:
            raise failed[0]
        return found

    def _top(self, place: Place) -> str:
        return f"archive/{self._stanza}/{place.id}"

    async def _list(self, repo: int, path: str) -> list[str]:
        args = [f"--stanza={self._stanza}", f"--repo={repo}", *commands.QUIET, "repo-ls", path]
        return (await self._run(args)).split()

    async def _run(self, args: Sequence[str]) -> str:
        try:
            result = await self._runner.run([*self._config, *args], SECONDS)
        except OSError as error:
            raise ArchiveError(str(error)) from error
        if not result.ok:
            raise ArchiveError(result.error)
        return result.stdout


def folders_from(names: Iterable[str], log: int) -> list[str]:
    """Of each timeline the folder of *log* (the middle eight digits of a segment), and the next one that there is."""
    by_timeline: dict[str, list[str]] = {}
    for name in sorted(names):
        found = _FOLDER.fullmatch(name)
        if found and int(found[2], 16) >= log:
            by_timeline.setdefault(found[1], []).append(name)
    return [name for folders in by_timeline.values() for name in folders[:2]]


def _sha1(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()
