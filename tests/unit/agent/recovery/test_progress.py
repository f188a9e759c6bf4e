"""How far a recovery is, as its status says it."""

from __future__ import annotations

import pytest

from agent.recovery.progress import Progress
from pgwarden.contract import recovery
from pgwarden.pgbackrest.wal import Segment

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("line", "percent", "copied"),
    [
        ("P01 DETAIL: restore file /d/base/1/2 (8KB, 45.67%) checksum ab", 45.67, 8192),
        ("P01 DETAIL: restore file /d/base/1/2 (bundle 1/0, 1.5MB, 5%) checksum ab", 5.0, 1572864),
        ("P01 DETAIL: restore file /d/x (bundle 20261128-200000F/1/0, bi 8KB/1GB, 1GB, 99.9%)", 99.9, 2**30),
        ("P01 DETAIL: restore file /d/x - exists and matches backup (0B, 100.00%)", 100.0, 0),
        ("P01 DETAIL: restore zeroed file /d/x (12B, 1.00%)", 1.0, 12),
    ],
)
def test_the_copy_is_told_by_pgbackrests_lines(line, percent, copied):
    found = Progress()
    assert found.copied(line, NOW)
    assert (found.copied_percent, found.copied_bytes) == (percent, copied)


def test_other_lines_tell_nothing_of_the_copy():
    assert not Progress().copied("P00   INFO: restore backup set 20261128-200000F", NOW)


def test_segments_are_counted_once_also_after_a_restart_point():
    found = Progress(last_archived=Segment(2, 12))
    found.at(recovery.REPLAYING, NOW)
    for name in ("000000010000000000000004", "000000010000000000000005", "000000010000000000000004",
                 "000000010000000000000005", "000000020000000000000005"):  # fmt: skip
        found.replayed(name, NOW)
    told = found.told(NOW)
    assert (told.segments, told.segment, told.remaining) == (3, "000000020000000000000005", 7)


def test_the_rate_is_that_of_the_last_minute():
    found = Progress()
    for number in range(120):
        found.replayed(f"{1:08X}{0:08X}{number:08X}", NOW + number)
    assert 0.9 < found.rate(NOW + 120) < 1.1
    assert found.rate(NOW + 600) == 0.0


def test_what_stands_in_the_way_is_told_until_it_is_gone():
    found = Progress()
    found.at(recovery.FOLLOWING, NOW)
    found.stands("MissingSegment", "it is missing")
    assert (found.told(NOW).reason, found.told(NOW).advanced) == ("MissingSegment", "2027-01-15T08:00:00Z")
    found.stands()
    assert found.told(NOW + 1).reason is None
