"""What a former primary had not archived is archived by its successor."""

from __future__ import annotations

import pytest

from agent.promoted import owed
from pgwarden.pgbackrest.wal import SEGMENT_SIZE as SIZE
from pgwarden.pgbackrest.wal import Ancestor, Segment


def name(timeline: int, number: int) -> str:
    return Segment(timeline, number).name()


#: Timeline 2 begins within segment 8, timeline 3 within segment 11.
ANCESTORS = (Ancestor(1, 8 * SIZE + 100), Ancestor(2, 11 * SIZE + 100))


@pytest.mark.parametrize(
    ("local", "archived", "wanted"),
    [
        ([name(2, 9), name(2, 10)], [Segment(2, 9)], [name(2, 10)]),
        ([name(1, 7), name(2, 9), name(2, 10)], [], [name(1, 7), name(2, 9), name(2, 10)]),
        ([name(2, 9)], [Segment(1, 9)], [name(2, 9)]),
        ([name(3, 11), name(3, 12)], [], []),
        ([name(1, 8), name(2, 11)], [], []),
        ([name(1, 9), name(2, 12)], [], []),
        (["00000003.history", f"{name(2, 9)}.partial", "archive_status"], [], []),
        ([name(2, 10)], [Segment(2, 10)], []),
    ],
    ids=[
        "the last one", "of two timelines, oldest first", "the same number of another timeline is another segment",
        "its own timeline is archived by PostgreSQL", "the segments with a switch are there of the younger timeline",
        "what nobody reads after a switch", "no segments", "all are there",
    ],
)  # fmt: skip
def test_owed_is_what_recovery_reads_and_the_archive_has_not(local, archived, wanted):
    assert owed(local, archived, 3, ANCESTORS, SIZE) == wanted
