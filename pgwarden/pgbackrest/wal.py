"""The WAL in an archive: names, ranges, and what is missing between them on the way to the newest timeline. Pure.

An archive has a folder for each 4 GiB of WAL of a timeline (`0000000200000007`) with the segments of it, and a
`.history` file for each timeline but the first. A segment has a number: its place in all WAL, whatever the timeline.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pgwarden.api.target import TargetError, parse_lsn

SEGMENT_SIZE = 16 * 2**20  # bytes, where nobody has told
_FOLDER = re.compile(r"[0-9A-F]{16}")
#: What a push that was killed has left, ends with `.pgbackrest.tmp`: that is no segment.
_FILE = re.compile(r"([0-9A-F]{24})(\.partial)?-[0-9a-f]{40}(\.[a-z0-9]+)?")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")
_SWITCH = re.compile(r"\s*([0-9]{1,10})\s+([0-9A-F]{1,8}/[0-9A-F]{1,8})(\s|\Z)")
_FULL = 2**32  # bytes of WAL in one folder


@dataclass(frozen=True)
class Run:
    """Segments *first* to *last* of a timeline, all there. *time* is that of the last one's file (seconds)."""

    first: int
    last: int
    time: int


@dataclass(frozen=True)
class Missing:
    """Segments *first* to *last* are not there, but *after* is. *before* is the run that ends where they begin."""

    first: int
    last: int
    timeline: int  # of the first
    after: str  # the segment that is there again
    before: Run
    before_timeline: int

    @property
    def count(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class Piece:
    """From segment *first* on, recovery reads *timeline*."""

    first: int
    timeline: int


def name(timeline: int, number: int, size: int) -> str:
    each = _FULL // size
    return f"{timeline:08X}{number // each:08X}{number % each:08X}"


def position(segment: str, size: int) -> int:
    """The LSN that a segment begins at."""
    return (int(segment[8:16], 16) << 32) + int(segment[16:24], 16) * size


def archived(file: str) -> tuple[str, bool] | None:
    """The segment that *file* of an archive holds, and whether only its beginning; None where it holds none."""
    found = _FILE.fullmatch(file)
    return (found[1], found[2] is not None) if found else None


def folders(listed: Iterable[str]) -> list[str]:
    return sorted(entry for entry in listed if _FOLDER.fullmatch(entry))


def newest_timeline(listed: Iterable[str]) -> int:
    """Of the folders and histories of an archive; 0 where it has none."""
    found = [match[1] if (match := _HISTORY.fullmatch(entry)) else entry[:8] for entry in listed
             if _FOLDER.fullmatch(entry) or _HISTORY.fullmatch(entry)]  # fmt: skip
    return max((int(one, 16) for one in found), default=0)


def timeline_of(folder: str) -> int:
    return int(folder[:8], 16)


def runs(folder: str, files: Mapping[str, int], size: int) -> list[Run]:
    """Of the files in *folder*, each with its time."""
    each = _FULL // size
    numbers: dict[int, int] = {}
    for file, time in files.items():
        segment, partial = archived(file) or ("", True)
        if not partial and segment.startswith(folder) and (place := int(segment[16:], 16)) < each:
            numbers[int(folder[8:], 16) * each + place] = time
    found: list[Run] = []
    for number in sorted(numbers):
        if found and found[-1].last == number - 1:
            found[-1] = Run(found[-1].first, number, numbers[number])
        else:
            found.append(Run(number, number, numbers[number]))
    return found


def path(timeline: int, history: str, size: int) -> list[Piece]:
    """How recovery comes to *timeline*, by the content of its `.history`. Lines that cannot be read are passed over."""
    found, first = [], 0
    for line in history.splitlines():
        match = _SWITCH.match(line)
        try:
            switch = parse_lsn(match[2]) // size if match else None
        except TargetError:
            switch = None
        if match and switch is not None and switch >= first:
            found.append(Piece(first, int(match[1])))
            first = switch
    return [*found, Piece(first, timeline)]


def missing(known: Mapping[int, Sequence[Run]], way: Sequence[Piece], size: int) -> list[Missing]:
    """What lacks between the first and the last segment on that *way*. *known*: the runs of each timeline, in order."""
    found: list[Missing] = []
    before: Run | None = None
    before_timeline = 0
    for timeline, run in _on(known, way):
        if before is not None and run.first > before.last + 1:
            first, last = before.last + 1, run.first - 1
            after = name(timeline, run.first, size)
            found.append(Missing(first, last, _timeline_at(way, first), after, before, before_timeline))
        before, before_timeline = run, timeline
    return found


def _on(known: Mapping[int, Sequence[Run]], way: Sequence[Piece]) -> Iterator[tuple[int, Run]]:
    """The runs that recovery would read, cut to what it reads of each timeline."""
    for place, piece in enumerate(way):
        end = way[place + 1].first - 1 if place + 1 < len(way) else None
        for run in known.get(piece.timeline, ()):
            first, last = max(run.first, piece.first), run.last if end is None else min(run.last, end)
            if first <= last:
                yield piece.timeline, Run(first, last, run.time)


def _timeline_at(way: Sequence[Piece], number: int) -> int:
    return [piece.timeline for piece in way if piece.first <= number][-1]
