"""Names and ranges of WAL, and what is missing on the way to a timeline."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwarden.pgbackrest import wal
from pgwarden.pgbackrest.wal import Piece, Run

MIB = 2**20
SIZE = 16 * MIB
SUM = "0123456789abcdef0123456789abcdef01234567"


def file(timeline: int, number: int, size: int = SIZE, suffix: str = ".zst") -> str:
    return f"{wal.name(timeline, number, size)}-{SUM}{suffix}"


def listed(timeline: int, numbers: set[int], size: int = SIZE) -> list[Run]:
    """As an archive with those segments is listed: folder by folder."""
    found: list[Run] = []
    for folder in sorted({wal.name(timeline, number, size)[:16] for number in numbers}):
        own = {file(timeline, n, size): n for n in numbers if wal.name(timeline, n, size)[:16] == folder}
        found += wal.runs(folder, own, size)
    return found


@pytest.mark.parametrize(
    ("number", "size", "expected"),
    [
        (0, SIZE, "000000010000000000000000"),
        (255, SIZE, "0000000100000000000000FF"),
        (256, SIZE, "000000010000000100000000"),
        (4096, MIB, "000000010000000100000000"),
        (63, 64 * MIB, "00000001000000000000003F"),
        (64, 64 * MIB, "000000010000000100000000"),
        (5, 1024 * MIB, "000000010000000100000001"),
    ],
)
def test_a_segment_is_named_by_its_place_in_4_gib(number, size, expected):
    assert wal.name(1, number, size) == expected
    assert wal.position(expected, size) == number * size


def test_of_a_folder_only_whole_segments_count():
    files = {
        file(1, 3): 30, file(1, 4): 40, file(1, 6, suffix=""): 60, f"{wal.name(1, 7, SIZE)}.partial-{SUM}.zst": 70,
        f"{wal.name(1, 8, SIZE)}.00000028.backup": 80, file(2, 5): 50, f"{wal.name(1, 5, SIZE)}-{SUM}.zst.pgbackrest.tmp": 55,
        "00000002.history": 1, ".": 0, "0000000100000000000001FF" + f"-{SUM}": 9,
    }  # fmt: skip
    assert wal.runs("0000000100000000", files, SIZE) == [Run(3, 4, 40), Run(6, 6, 60)]


@pytest.mark.parametrize(
    ("timeline", "history", "expected"),
    [
        (1, "", [Piece(0, 1)]),
        (2, "1\t0/90000A0\tno recovery target specified\n", [Piece(0, 1), Piece(9, 2)]),
        (2, "1\t0/9000000\tat a boundary\n", [Piece(0, 1), Piece(9, 2)]),
        (4, "1\t0/50000A0\tx\n\n3\t1/00000028\tbefore 2026\n", [Piece(0, 1), Piece(5, 3), Piece(256, 4)]),
        (3, "# a comment\nnonsense\n1 0/3000000\n", [Piece(0, 1), Piece(3, 3)]),
        (3, "", [Piece(0, 3)]),
    ],
    ids=["the first", "after a failover", "at a boundary", "past one that was given up", "odd lines", "unreadable"],
)
def test_a_history_says_which_timeline_is_read_from_where(timeline, history, expected):
    assert wal.path(timeline, history, SIZE) == expected


@pytest.mark.parametrize(
    ("known", "way", "expected"),
    [
        ({}, [Piece(0, 1)], []),
        ({1: {3, 4, 5}}, [Piece(0, 1)], []),
        ({1: {3, 5, 6, 9}}, [Piece(0, 1)], [(4, 4, 1), (7, 8, 1)]),
        ({1: {3, 4}, 2: {5, 6}}, [Piece(0, 1), Piece(5, 2)], []),
        ({1: {3}, 2: {5, 6}}, [Piece(0, 1), Piece(5, 2)], [(4, 4, 1)]),
        ({1: {3, 4}, 2: {6}}, [Piece(0, 1), Piece(5, 2)], [(5, 5, 2)]),
        ({1: {3}, 2: {7}}, [Piece(0, 1), Piece(5, 2)], [(4, 6, 1)]),
        ({1: {3, 4, 5, 6, 8}, 2: {5}}, [Piece(0, 1), Piece(5, 2)], []),
        ({1: {3, 4, 5}, 2: {5, 6, 7}, 3: {6}}, [Piece(0, 1), Piece(6, 3)], []),
        ({1: {3, 4, 5, 6, 7}}, [Piece(0, 1), Piece(6, 2)], []),
        ({1: {254, 255, 256, 258}}, [Piece(0, 1)], [(257, 257, 1)]),
    ],
    ids=["nothing", "all", "two gaps", "a failover", "the dead primary's last", "the new primary's first", "both",
         "what the old primary wrote on does not count", "a timeline that was given up does not count",
         "a new timeline without WAL yet", "over the end of a folder"],
)  # fmt: skip
def test_what_recovery_would_not_find_is_missing(known, way, expected):
    runs = {timeline: listed(timeline, numbers) for timeline, numbers in known.items()}
    found = wal.missing(runs, way, SIZE)
    assert [(one.first, one.last, one.timeline) for one in found] == expected
    for one in found:
        assert one.before.last == one.first - 1
        assert wal.position(one.after, SIZE) == (one.last + 1) * SIZE


numbers = st.sets(st.integers(0, 1200), min_size=1)


@given(there=numbers, size=st.sampled_from([MIB, SIZE, 1024 * MIB]))
def test_on_one_timeline_exactly_what_is_between_the_ends_and_not_there_is_missing(there, size):
    found = wal.missing({1: listed(1, there, size)}, [Piece(0, 1)], size)
    told = {number for one in found for number in range(one.first, one.last + 1)}
    assert told == set(range(min(there), max(there))) - there


@given(old=numbers, new=numbers, switch=st.integers(0, 1200))
def test_over_a_switch_each_timeline_counts_for_its_own_part(old, new, switch):
    found = wal.missing({1: listed(1, old), 2: listed(2, new)}, [Piece(0, 1), Piece(switch, 2)], SIZE)
    read = {number for number in old if number < switch} | {number for number in new if number >= switch}
    told = {number for one in found for number in range(one.first, one.last + 1)}
    assert told == (set(range(min(read), max(read))) - read if read else set())


@given(st.text(), st.integers(1, 2**31))
def test_a_history_of_any_text_is_a_way_that_only_goes_forward(text, timeline):
    way = wal.path(timeline, text, SIZE)
    assert way[-1].timeline == timeline
    assert [one.first for one in way] == sorted(one.first for one in way)


@given(st.lists(st.text(max_size=30)))
def test_any_listing_can_be_read(entries):
    assert wal.newest_timeline(entries) >= 0
    for folder in wal.folders(entries):
        wal.runs(folder, dict.fromkeys(entries, 1), SIZE)
