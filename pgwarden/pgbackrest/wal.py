"""WAL by its names: segments, positions, timelines, and what is missing in an archive. Pure.

A segment's name is its timeline and its number: `TTTTTTTT LLLLLLLL SSSSSSSS`, where the last two count so that each
LLLLLLLL has as many segments as fit into 4 GiB. An archive has a folder for each LLLLLLLL of a timeline
(`0000000200000007`), and a `.history` file for each timeline but the first: the timelines that it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

SEGMENT_SIZE = 16 * 2**20  # bytes, where nobody has told
_SEGMENT = re.compile(r"[0-9A-F]{24}")
_FOLDER = re.compile(r"[0-9A-F]{16}")
#: What a push that was killed has left, ends with `.pgbackrest.tmp`: that is no segment.
_FILE = re.compile(r"([0-9A-F]{24})(\.partial)?-([0-9a-f]{40})(\.[a-z0-9]+)?")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")
_SWITCH = re.compile(r"\s*([0-9]{1,10})\s+([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})(?:\s|\Z)")
_FULL = 2**32  # bytes of WAL in one folder


@dataclass(frozen=True, order=True)
class Segment:
    timeline: int
    number: int  # of all segments since the cluster was made, whatever the timeline

    def name(self, size: int = SEGMENT_SIZE) -> str:
        return name(self.timeline, self.number, size)


@dataclass(frozen=True)
class Ancestor:
    """A timeline that another one comes from: its own WAL counts up to *switch* (bytes)."""

    timeline: int
    switch: int


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


# --- names -----------------------------------------------------------------------------------------------------------


def name(timeline: int, number: int, size: int) -> str:
    each = _FULL // size
    return f"{timeline:08X}{number // each:08X}{number % each:08X}"


def is_segment(name: str) -> bool:
    return _SEGMENT.fullmatch(name) is not None


def parse_segment(name: str, size: int = SEGMENT_SIZE) -> Segment:
    """ValueError where *name* is none."""
    if not is_segment(name):
        raise ValueError(f"{name!r} is not the name of a WAL segment")
    return Segment(int(name[:8], 16), int(name[8:16], 16) * (_FULL // size) + int(name[16:], 16))


def position(segment: str, size: int) -> int:
    """The LSN that a segment begins at."""
    return (int(segment[8:16], 16) << 32) + int(segment[16:24], 16) * size


def folders(listed: Iterable[str]) -> list[str]:
    return sorted(entry for entry in listed if _FOLDER.fullmatch(entry))


def timeline_of(folder: str) -> int:
    return int(folder[:8], 16)


def archived(names: Iterable[str], size: int = SEGMENT_SIZE) -> tuple[frozenset[Segment], frozenset[Segment]]:
    """Of the files of an archive (`SEGMENT-SHA1.zst`, `SEGMENT.partial-SHA1.zst`): whole segments, and partial ones."""
    found = [match for name in names if (match := _FILE.fullmatch(name))]
    whole, cut = (
        [parse_segment(one[1], size) for one in found if bool(one[2]) is partial] for partial in (False, True)
    )
    return frozenset(whole), frozenset(cut)


def checksums(names: Iterable[str], segment: str) -> frozenset[str]:
    """The SHA-1 of each whole *segment* among the files of an archive, in hexadecimal digits."""
    found = (match for name in names if (match := _FILE.fullmatch(name)))
    return frozenset(one[3] for one in found if one[1] == segment and not one[2])


# --- timelines -------------------------------------------------------------------------------------------------------


def history_timeline(name: str) -> int | None:
    """The timeline of a `.history` file; None for other names."""
    found = _HISTORY.fullmatch(name)
    return int(found[1], 16) if found else None


def history_name(timeline: int) -> str:
    return f"{timeline:08X}.history"


def parse_history(text: str) -> tuple[Ancestor, ...]:
    """The ancestors of a timeline, oldest first, out of its history file. What is no line of one is passed over, and
    so is one that goes back.
    """
    found: list[Ancestor] = []
    for match in map(_SWITCH.match, text.splitlines()):
        switch = (int(match[2], 16) << 32 | int(match[3], 16)) if match else -1
        if match and switch >= (found[-1].switch if found else 0):
            found.append(Ancestor(int(match[1]), switch))
    return tuple(found)


def newest_timeline(listed: Iterable[str]) -> int:
    """Of the folders and histories of an archive; 0 where it has none."""
    entries = list(listed)
    found = [*map(timeline_of, folders(entries)), *(one for entry in entries if (one := history_timeline(entry)))]
    return max(found, default=0)


def newest(histories: Container[int], base: int) -> int:
    """The timeline that `latest` means: PostgreSQL counts on from *base* as long as there is a next history file."""
    timeline = base
    while timeline + 1 in histories:
        timeline += 1
    return timeline


# --- one segment and what is behind it --------------------------------------------------------------------------------


def belongs(segment: Segment, target: int, ancestors: Sequence[Ancestor], size: int = SEGMENT_SIZE) -> bool:
    """Whether recovery on timeline *target* would replay *segment*: of an ancestor only what is before its switch.

    The segment with the switch is there twice; the younger timeline's counts, and the older one's serves as well.
    """
    if segment.timeline == target:
        return not ancestors or segment.number >= ancestors[-1].switch // size
    begin = 0
    for ancestor in ancestors:
        if ancestor.timeline == segment.timeline:
            return begin // size <= segment.number and segment.number * size <= ancestor.switch
        begin = ancestor.switch
    return False


def first_behind(
    lost: Segment,
    there: Iterable[Segment],
    target: int,
    ancestors: Sequence[Ancestor] = (),
    size: int = SEGMENT_SIZE,
) -> Segment | None:
    """The first archived segment of this history that lies behind *lost*: with it, *lost* is a hole and not the end of
    the WAL. None where there is none.
    """
    behind = [one for one in there if one.number > lost.number and belongs(one, target, ancestors, size)]
    return min(behind, key=lambda one: (one.number, -one.timeline), default=None)


def elsewhere(lost: Segment, there: Iterable[Segment]) -> bool:
    """Whether the archive has the same segment of another timeline: PostgreSQL asks for that next."""
    return any(one.number == lost.number and one.timeline != lost.timeline for one in there)


# --- all of an archive ------------------------------------------------------------------------------------------------


def runs(folder: str, files: Mapping[str, int], size: int) -> list[Run]:
    """Of the files in *folder*, each with its time."""
    each = _FULL // size
    numbers: dict[int, int] = {}
    for file, time in files.items():
        match = _FILE.fullmatch(file)
        if match and not match[2] and match[1].startswith(folder) and (place := int(match[1][16:], 16)) < each:
            numbers[int(folder[8:], 16) * each + place] = time
    found: list[Run] = []
    for number in sorted(numbers):
        if found and found[-1].last == number - 1:
            found[-1] = Run(found[-1].first, number, numbers[number])
        else:
            found.append(Run(number, number, numbers[number]))
    return found


def path(timeline: int, history: str, size: int) -> list[Piece]:
    """How recovery comes to *timeline*, by the content of its `.history`."""
    found, first = [], 0
    for ancestor in parse_history(history):
        found.append(Piece(first, ancestor.timeline))
        first = ancestor.switch // size
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
