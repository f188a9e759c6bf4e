"""Which targets can be reached, and which new volumes hold the data."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from controller.recovery import target
from pgwarden.api.kinds import NewVolume, RepositorySpec, RestoreSpec, RestoreTarget
from pgwarden.pgbackrest.info import parse_info


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({}, "", ""),
        ({"target": RestoreTarget(time="2026-11-23T11:30:00Z")}, "", ""),
        ({"target": RestoreTarget(time="2026-11-23T12:30:00Z")}, "TargetInFuture", "now: 2026-11-23T12:00:01Z"),
        (
            {"target": RestoreTarget(time="2026-11-23T10:30:00Z")},
            "TargetTooEarly",
            "the earliest reachable time is 2026-11-23T11:01:00Z",
        ),
        ({"target": RestoreTarget(lsn="0/2FFFFFF")}, "TargetTooEarly", "the earliest reachable is 0/3000050"),
        ({"target": RestoreTarget(lsn="1/0")}, "", ""),
        ({"set": "20261123-110000F"}, "", ""),
        ({"target_timeline": "1"}, "", ""),
        ({"target_timeline": "current"}, "", ""),
        ({"target_timeline": "9"}, "NoSuchTimeline", "the newest timeline is 1"),
        ({"target_timeline": "0x0"}, "NoSuchTimeline", "is before 1"),
        ({"set": "20261101-110000F"}, "NoSuchSet", "available: 20261123-110000F"),
        ({"storage": "s3"}, "NoBackup", "storage s3 holds no backup"),
    ],
)
def test_target(begin, spec, reason, words):
    wanted = RestoreSpec(repository="hippo", **spec)
    info = parse_info([begin.info], "hippo")
    found = target.unreachable(
        wanted, RepositorySpec(storage_type="local,s3"), info, datetime(2026, 11, 23, 12, 0, 1, tzinfo=UTC)
    )
    assert (found.reason if found else "") == reason
    assert not found or words in found.message


@pytest.mark.parametrize(("size", "reason"), [("1Gi", ""), ("0.5", "VolumeTooSmall"), (None, "")])
def test_a_new_volume_holds_the_data(begin, size, reason):
    wanted = RestoreSpec(repository="hippo", new_volume=NewVolume(size=size))
    found = target.too_small(wanted, RepositorySpec(), parse_info([begin.info], "hippo"))
    assert (found.reason if found else "") == reason
    assert not found or "0.5 is less than the 1 B of data (1 B)" in found.message


def test_a_storage_that_held_nothing_then_is_not_waited_for(begin):
    wanted = RestoreSpec(repository="hippo", storage="s3", repo_target_time="2026-11-01T10:00:00Z")
    info = parse_info([begin.info], "hippo")
    found = target.storage(wanted, RepositorySpec(storage_type="local,s3"), info, datetime(2026, 11, 23, tzinfo=UTC))
    assert (found.reason, found.final) == ("NoBackup", True)
    assert "storage s3 held no backup at 2026-11-01T10:00:00Z, or its bucket keeps no versions" in found.message


@pytest.mark.parametrize(
    ("storages", "asked", "found"),
    [
        ("local,s3", {"repo_target_time": "2026-11-01T10:00:00.7Z"}, (2, "2026-11-01T10:00:00Z")),
        ("s3", {"repo_target_time": "2026-11-01T10:00:00Z", "storage": "s3"}, (1, "2026-11-01T10:00:00Z")),
        ("local", {"repo_target_time": "2026-11-01T10:00:00Z"}, None),
        ("local,s3", {"storage": "s3"}, None),
    ],
)
def test_the_storage_with_versions_is_the_one_that_is_read_as_it_was(storages, asked, found):
    spec = RestoreSpec(repository="hippo", **asked)
    assert target.as_of(spec, RepositorySpec(storage_type=storages)) == found
