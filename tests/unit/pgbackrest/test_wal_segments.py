"""Names, positions and timelines of WAL; what is a hole and what is the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwarden.pgbackrest import wal
from pgwarden.pgbackrest.wal import Ancestor, Segment

MB16 = wal.SEGMENT_SIZE
#: Timeline 1 up to the middle of segment 6, timeline 2 up to the middle of segment 9, then 3.
HISTORY = "1\t0/6800000\tno recovery target specified\n\n2\t0/9800000\tbefore 2026-01-01 00:00:00+00\n"
ANCESTORS = wal.parse_history(HISTORY)
sizes = st.sampled_from([2**power * 1024 * 1024 for power in range(11)])
segments = st.builds(Segment, st.integers(1, 2**32 - 1), st.integers(0, 2**31))


@given(segments, sizes)
def test_a_name_is_read_as_it_is_written(segment, size):
    per_log = 2**32 // size
    segment = Segment(segment.timeline, segment.number % (2**32 * per_log))
    assert wal.parse_segment(segment.name(size), size) == segment


@given(st.integers(1, 9), st.integers(0, 2**20))
def test_names_of_a_timeline_sort_as_its_segments(timeline, number):
    assert Segment(timeline, number).name() < Segment(timeline, number + 1).name()


@pytest.mark.parametrize("name", ["", "00000001", "00000002.history", "0000000100000000000000zz", "0" * 23 + "a"])
def test_another_name_is_none_of_a_segment(name):
    assert not wal.is_segment(name)
    with pytest.raises(ValueError, match="not the name of a WAL segment"):
        wal.parse_segment(name)


def test_a_history_file_is_read():
    assert (Ancestor(1, 0x6800000), Ancestor(2, 0x9800000)) == ANCESTORS
    assert wal.parse_history("\n# a comment\nnonsense\n") == ()
    assert (wal.history_timeline("0000000A.history"), wal.history_timeline("0000000A.backup")) == (10, None)


@pytest.mark.parametrize(
    ("timeline", "number", "belongs"),
    [
        pytest.param(1, 5, True, id="before the switch"),
        pytest.param(1, 6, True, id="with the switch, of the old timeline"),
        pytest.param(2, 6, True, id="with the switch, of the new one"),
        pytest.param(1, 7, False, id="the old timeline after the switch"),
        pytest.param(2, 5, False, id="the new timeline before it began"),
        pytest.param(2, 9, True, id="up to the next switch"),
        pytest.param(2, 10, False, id="after the next switch"),
        pytest.param(3, 9, True, id="the target from its begin"),
        pytest.param(3, 8, False, id="the target before its begin"),
        pytest.param(3, 99, True, id="the target has no end"),
        pytest.param(4, 12, False, id="another timeline"),
    ],
)
def test_what_belongs_to_a_history(timeline, number, belongs):
    assert wal.belongs(Segment(timeline, number), 3, ANCESTORS) is belongs


@pytest.mark.parametrize(
    ("missing", "archived", "behind"),
    [
        pytest.param((3, 12), [(3, 10), (3, 11)], None, id="the end"),
        pytest.param((3, 12), [(3, 13), (3, 14)], (3, 13), id="a hole"),
        pytest.param((2, 7), [(2, 8), (3, 9)], (2, 8), id="a hole in an ancestor"),
        pytest.param((2, 7), [(1, 8), (1, 99)], None, id="what an ancestor wrote after its end does not count"),
        pytest.param((2, 9), [(3, 10)], (3, 10), id="behind it only the next timeline"),
        pytest.param((1, 6), [(2, 7), (1, 7)], (2, 7), id="after a failover, the dead primary's last segment"),
        pytest.param((3, 12), [(4, 13)], None, id="another history"),
    ],
)
def test_a_hole_has_something_behind_it(missing, archived, behind):
    found = wal.first_behind(Segment(*missing), [Segment(*one) for one in archived], 3, ANCESTORS)
    assert found == (Segment(*behind) if behind else None)


@given(st.integers(1, 200), st.integers(1, 200))
def test_of_an_archive_without_gaps_no_end_is_a_hole(first, count):
    archived = [Segment(1, number) for number in range(first, first + count)]
    assert wal.first_behind(Segment(1, first + count), archived, 1) is None


@given(st.integers(1, 100), st.integers(3, 100), st.data())
def test_a_segment_that_is_taken_out_is_a_hole_unless_it_is_the_last(first, count, data):
    archived = [Segment(1, number) for number in range(first, first + count)]
    lost = data.draw(st.sampled_from(archived[:-1]))
    behind = wal.first_behind(lost, [one for one in archived if one != lost], 1)
    assert behind == Segment(1, lost.number + 1)


def test_the_same_segment_of_another_timeline_is_asked_for_next():
    assert wal.elsewhere(Segment(3, 9), [Segment(2, 9)])
    assert not wal.elsewhere(Segment(3, 9), [Segment(3, 9), Segment(2, 8)])


@pytest.mark.parametrize(
    ("histories", "newest"),
    [(set(), 1), ({2, 3}, 3), ({3, 4}, 1), ({2, 4}, 2)],
    ids=["none", "next", "gap", "gap later"],
)
def test_the_newest_timeline_is_found_as_postgresql_does(histories, newest):
    assert wal.newest(histories, 1) == newest


def test_only_whole_files_of_the_segment_have_its_checksum():
    segment, sums = Segment(1, 5).name(), [digit * 40 for digit in "abcdef"]
    files = [f"{segment}-{sums[0]}.zst", f"{segment}-{sums[1]}", f"{segment}.partial-{sums[2]}.zst"]
    files += [f"{segment}-{sums[3]}.zst.pgbackrest.tmp", f"{Segment(1, 6).name()}-{sums[4]}.zst", f"{segment}.backup"]
    assert wal.checksums(files, segment) == {sums[0], sums[1]}
