"""What can be said about PostgreSQL without one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from agent import fence, postgres
from pgwarden.contract.environment import Instance

WAL = "00000002000000010000000A"


@pytest.mark.parametrize(
    ("archived", "expected"),
    [
        (None, False),
        ("000000020000000100000009", False),
        (WAL, True),
        ("00000002000000010000000B", True),
        ("000000020000000200000000", True),
        (f"{WAL}.00000028.backup", True),
        ("00000003.history", False),
        ("00000003000000010000000B", False),
        ("00000001000000010000000F", False),
    ],
)
def test_a_segment_counts_as_archived_by_itself_or_a_later_one_of_its_timeline(archived, expected):
    assert fence.reached(archived, WAL) is expected


def test_times_are_utc_with_microseconds():
    time = datetime(2026, 11, 23, 18, 0, tzinfo=timezone(timedelta(hours=1)))
    assert postgres.stamp(time) == "2026-11-23T17:00:00.000000Z"
    assert postgres.stamp(datetime(2026, 11, 23, 17, 0, 0, 123456, tzinfo=UTC)) == "2026-11-23T17:00:00.123456Z"
    assert postgres.stamp(None) is None


async def test_without_postgresql_the_status_says_so_and_still_counts(tmp_path):
    status = tmp_path / "pg_wal/archive_status"
    status.mkdir(parents=True)
    for name in ("000000010000000000000001.ready", "000000010000000000000002.ready", "000000010000000000000000.done"):
        (status / name).touch()

    answer = await postgres.Postgres(Instance(str(tmp_path), socket_directory=str(tmp_path))).look()

    assert answer.postgres.reachable is False
    assert "connection" in answer.postgres.error
    assert "\n" not in answer.postgres.error
    assert answer.unarchived == 2
    assert answer.archiver is None


async def test_a_fence_without_postgresql_says_why(tmp_path):
    answer = await fence.fence(postgres.Postgres(Instance(str(tmp_path), socket_directory=str(tmp_path))), 5)
    assert answer.ok is False
    assert "connection" in answer.error
