"""Lists the WAL in each storage bit by bit, and finds what is missing in it.

Ranges are kept, not names: 100,000 segments without a gap are 400 folders of one range each. The newest folder is
listed at each look, and those that a gap was found in at the look before; the others in turn: what somebody deletes in
an old one is found within hours. A folder that is no longer the newest may have got its last segments since it was
listed, so a gap counts only by listings of the look that tells it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from agent import log
from agent.pgbackrest import Runner
from pgwarden.api import outside
from pgwarden.contract.archive import MOST_GAPS, Archive, Gap
from pgwarden.pgbackrest import commands, wal

LOOK_SECONDS = 60.0
#: How many folders that were listed before are listed again at a look, besides the newest.
AGAIN = 4
#: One look takes about so long at most; what it does not come to is for the next.
BUDGET_SECONDS = 30.0
LIST_SECONDS = 60.0
#: Of one listing: 4,096 segments of 1 MiB in a folder take 0.6 MB.
MOST = 8 * 2**20


@dataclass
class _Known:
    """Of one storage."""

    archive_id: str
    size: int
    runs: dict[str, list[wal.Run]] = field(default_factory=dict)  # by folder
    listed: dict[str, float] = field(default_factory=dict)  # when each folder was
    history: dict[int, str] = field(default_factory=dict)  # of the newest timeline
    found: list[wal.Missing] = field(default_factory=list)  # the gaps of the look before
    told: set[int] = field(default_factory=set)  # first segments of those that counted
    complete: bool = False
    gaps: tuple[Gap, ...] = ()


class Archives:
    """*places*: of each storage, by its number, the folder of the current cluster's WAL (`VERSION-N`, of `info`)."""

    def __init__(
        self,
        stanza: str,
        runner: Runner,
        places: Callable[[], dict[int, str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stanza = stanza
        self._runner = runner
        self._places = places
        self._clock = clock
        self._known: dict[int, _Known] = {}
        self._log = log.get("archives")
        self.segment_size = wal.SEGMENT_SIZE

    def told(self) -> tuple[Archive, ...]:
        return tuple(
            Archive(repo=repo, complete=known.complete, gaps=known.gaps) for repo, known in sorted(self._known.items())
        )

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        places = self._places()
        for gone in self._known.keys() - places.keys():
            del self._known[gone]
        for repo, archive_id in places.items():
            known = self._known.get(repo)
            if known is None or (known.archive_id, known.size) != (archive_id, self.segment_size):
                known = self._known[repo] = _Known(archive_id, self.segment_size)
            try:
                await self._look(repo, known)
            except (OSError, ValueError) as error:
                self._log.warning("cannot list the archive", repo=repo, error=str(error))

    async def _look(self, repo: int, known: _Known) -> None:
        top = await self._list(repo, known.archive_id)
        folders, timeline = wal.folders(top), wal.newest_timeline(top)
        for gone in known.listed.keys() - set(folders):
            del known.listed[gone], known.runs[gone]
        began = self._clock()
        for place, folder in enumerate(_order(folders, known.listed, _suspects(known))):
            if place > 1 and self._clock() - began > BUDGET_SECONDS:  # slow as it is, it gets on
                break
            files = await self._list(repo, f"{known.archive_id}/{folder}")
            known.runs[folder] = wal.runs(folder, files, known.size)
            known.listed[folder] = self._clock()
        known.complete = known.listed.keys() == set(folders)
        if timeline > 1 and timeline not in known.history:
            known.history = {timeline: await self._history(repo, known.archive_id, timeline, top)}
        self._judge(known, timeline, {folder for folder, at in known.listed.items() if at >= began})

    def _judge(self, known: _Known, timeline: int, fresh: set[str]) -> None:
        """A gap counts once two looks have found it: of what is pushed at once, a later segment may come first.

        The second look must have listed its folders, *fresh*.
        """
        of_timeline: dict[int, list[wal.Run]] = {}
        for folder in sorted(known.runs):
            of_timeline.setdefault(wal.timeline_of(folder), []).extend(known.runs[folder])
        way = wal.path(timeline, known.history.get(timeline, ""), known.size)
        joined = {number: _joined(runs) for number, runs in of_timeline.items()}
        # While not all is listed, what is not may be what seems to be missing.
        found = wal.missing(joined, way, known.size) if known.complete else []
        before = {one.first for one in known.found}
        told = [
            one
            for one in found
            if one.first in known.told
            or (one.first in before and _around(one, known.size) & known.listed.keys() <= fresh)
        ]
        known.found = found
        if known.complete:
            known.told = {one.first for one in told}
            known.gaps = tuple(_gap(one, known.size) for one in told[-MOST_GAPS:])

    async def _list(self, repo: int, path: str) -> dict[str, int]:
        """Names and times (0 of a folder) below archive/STANZA/*path*."""
        result = await self._runner.run(commands.list_archive_argv(self._stanza, repo, path), LIST_SECONDS, keep=MOST)
        if not result.ok:
            raise ValueError(result.error)
        found = outside.decode_object(result.stdout, most=MOST)
        if found is None:
            raise ValueError("the output of repo-ls cannot be read")
        return {name: _time(entry) for name, entry in found.items()}

    async def _history(self, repo: int, archive_id: str, timeline: int, top: dict[str, int]) -> str:
        file = f"{timeline:08X}.history"
        if file not in top:
            return ""
        argv = commands.get_archive_argv(self._stanza, repo, f"{archive_id}/{file}")
        result = await self._runner.run(argv, LIST_SECONDS, keep=MOST)
        if not result.ok:
            raise ValueError(result.error)
        return result.stdout


def _order(folders: Sequence[str], listed: dict[str, float], suspects: Sequence[str]) -> list[str]:
    """What to list: the newest, *suspects*, what was never listed (newest first), and some of the others in turn."""
    new = [folder for folder in reversed(folders) if folder not in listed]
    newest = [folder for folder in folders[-1:] if folder in listed]
    others = sorted((folder for folder in folders[:-1] if folder in listed), key=lambda folder: listed[folder])
    again = [folder for folder in suspects if folder in others]
    return [*newest, *again, *new, *[folder for folder in others if folder not in again][:AGAIN]]


def _suspects(known: _Known) -> list[str]:
    """Folders that may have got by now what was missing: of what was not told yet, and of the newest of the others."""
    new = [one for one in known.found if one.first not in known.told]
    told = [one for one in known.found if one.first in known.told]
    return list(dict.fromkeys(folder for one in [*new, *told[-1:]] for folder in sorted(_around(one, known.size))))


def _around(one: wal.Missing, size: int) -> set[str]:
    """The folders where its first and last segment would be, and the one behind it."""
    return {wal.name(one.timeline, number, size)[:16] for number in (one.first, one.last)} | {one.after[:16]}


def _joined(runs: Sequence[wal.Run]) -> list[wal.Run]:
    """Runs of folders that follow each other are one."""
    found: list[wal.Run] = []
    for run in runs:
        if found and found[-1].last + 1 == run.first:
            found[-1] = wal.Run(found[-1].first, run.last, run.time)
        else:
            found.append(run)
    return found


def _gap(one: wal.Missing, size: int) -> Gap:
    until = datetime.fromtimestamp(one.before.time, UTC)
    return Gap(
        missing=wal.name(one.timeline, one.first, size),
        segments=one.count,
        next=one.after,
        until=f"{until:%Y-%m-%dT%H:%M:%SZ}",
    )


def _time(entry: object) -> int:
    value = entry.get("time") if isinstance(entry, dict) else None
    return value if isinstance(value, int) and 0 <= value < 2**33 else 0
