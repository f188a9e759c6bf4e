"""Names of WAL files and what follows from them: positions, timelines, and holes in an archive. Pure.

A segment's name is its timeline and its number: `TTTTTTTT LLLLLLLL SSSSSSSS`, where the last two count so that each
LLLLLLLL has as many segments as fit into 4 GiB.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from pgwarden.pgbackrest import wal as archive_wal

DEFAULT_SEGMENT = archive_wal.SEGMENT_SIZE
_SEGMENT = re.compile(r"[0-9A-F]{24}")
_HISTORY_NAME = re.compile(r"([0-9A-F]{8})\.history")
_HISTORY_LINE = re.compile(r"\s*(\d+)\s+([0-9A-Fa-f]+)/([0-9A-Fa-f]+)")


@dataclass(frozen=True, order=True)
class Segment:
    timeline: int
    number: int  # of all segments since the cluster was made, whatever the timeline

    def name(self, size: int = DEFAULT_SEGMENT) -> str:
        return archive_wal.name(self.timeline, self.number, size)


@dataclass(frozen=True)
class Ancestor:
    """A timeline that another one comes from: its own WAL counts up to *switch* (bytes)."""

    timeline: int
    switch: int


def is_segment(name: str) -> bool:
    return _SEGMENT.fullmatch(name) is not None


def parse_segment(name: str, size: int = DEFAULT_SEGMENT) -> Segment:
    """ValueError where *name* is none."""
    if not is_segment(name):
        raise ValueError(f"{name!r} is not the name of a WAL segment")
    return Segment(int(name[:8], 16), int(name[8:16], 16) * (2**32 // size) + int(name[16:], 16))


def archived(names: Iterable[str], size: int = DEFAULT_SEGMENT) -> tuple[frozenset[Segment], frozenset[Segment]]:
    """Of the files of an archive (`SEGMENT-SHA1.zst`, `SEGMENT.partial-SHA1.zst`): whole segments, and partial ones."""
    files = [found for name in names if (found := archive_wal.archived(name))]
    whole, cut = (
        [parse_segment(name, size) for name, partial in files if partial is wanted] for wanted in (False, True)
    )
    return frozenset(whole), frozenset(cut)


def history_timeline(name: str) -> int | None:
    """The timeline of a `.history` file; None for other names."""
    found = _HISTORY_NAME.fullmatch(name)
    return int(found[1], 16) if found else None


def history_name(timeline: int) -> str:
    return f"{timeline:08X}.history"


def parse_history(text: str) -> tuple[Ancestor, ...]:
    """The ancestors of a timeline, oldest first, out of its history file. What is no line of one is passed over."""
    found = (_HISTORY_LINE.match(line) for line in text.splitlines())
    return tuple(Ancestor(int(one[1]), int(one[2], 16) << 32 | int(one[3], 16)) for one in found if one)


def belongs(segment: Segment, target: int, ancestors: Sequence[Ancestor], size: int = DEFAULT_SEGMENT) -> bool:
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
    missing: Segment,
    archived: Iterable[Segment],
    target: int,
    ancestors: Sequence[Ancestor] = (),
    size: int = DEFAULT_SEGMENT,
) -> Segment | None:
    """The first archived segment of this history that lies behind *missing*: with it, *missing* is a hole and not the
    end of the WAL. None where there is none.
    """
    behind = [one for one in archived if one.number > missing.number and belongs(one, target, ancestors, size)]
    return min(behind, key=lambda one: (one.number, -one.timeline), default=None)


def elsewhere(missing: Segment, archived: Iterable[Segment]) -> bool:
    """Whether the archive has the same segment of another timeline: PostgreSQL asks for that next."""
    return any(one.number == missing.number and one.timeline != missing.timeline for one in archived)


def newest(histories: Container[int], base: int) -> int:
    """The timeline that `latest` means: PostgreSQL counts on from *base* as long as there is a next history file."""
    timeline = base
    while timeline + 1 in histories:
        timeline += 1
    return timeline
