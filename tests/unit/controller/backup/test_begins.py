"""When a Backup may begin: the WAL that waits, its windows, and what it then asks of pgBackRest."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from controller import operations
from controller.backup import backlog, hindrances
from pgwarden.api.kinds import BackupSpec, RepositorySpec
from tests.unit.controller.beside import NOW, stamp

Object = dict[str, Any]
FAILS = {"type": "Archiving", "status": "False", "message": "archive_command fails for 0001"}
WORKS = {"type": "Archiving", "status": "True", "message": "fine"}
READY = {"type": "Ready", "status": "True", "message": "ready"}


def repository(queued: int | None, *conditions: Object, **status: Any) -> Object:
    known = {"unarchivedWAL": queued, "primary": "pg-0", "conditions": [READY, *conditions]}
    return {"metadata": {"name": "hippo"}, "spec": {"storageType": "local"}, "status": known | status}


def spec(**given: Any) -> BackupSpec:
    return msgspec.convert({"repository": "hippo"} | given, BackupSpec)


def of_repository(*options: str, storages: str = "local") -> RepositorySpec:
    return msgspec.convert({"storageType": storages, "options": list(options)}, RepositorySpec)


def waits(queued: int | None, *conditions: Object, minutes: float = 0, wanted: BackupSpec | None = None,
          repo: RepositorySpec | None = None, **status: Any) -> str:  # fmt: skip
    found = repository(queued, *conditions, **status)
    return backlog.hindrance(wanted or spec(), found, repo or of_repository(), timedelta(minutes=minutes))


def test_a_backup_waits_while_more_wal_waits_than_pgbackrest_would_wait_for():
    assert waits(None) == waits(0) == waits(15, WORKS) == ""
    assert waits(16, WORKS) == (
        "16 WAL segments wait to be archived before those of this backup; it begins once there are at most 15, or in 10 "
        "minutes with a longer archive-timeout"
    )


def test_a_queue_that_archiving_works_on_is_waited_for_ten_minutes_and_one_that_it_fails_on_for_ever():
    assert waits(200, WORKS, minutes=9)
    assert waits(200, WORKS, minutes=10) == ""
    assert "archive_command fails for 0001. The backup could not be completed" in waits(200, FAILS, minutes=600)
    assert waits(3, FAILS, minutes=600) == ""


def test_a_longer_archive_timeout_of_the_users_allows_for_more():
    assert waits(100, WORKS, repo=of_repository("--archive-timeout=10m")) == ""
    assert waits(100, WORKS, wanted=spec(options=["--archive-timeout=600"])) == ""
    assert waits(151, WORKS, wanted=spec(options=["--archive-timeout=600"]))


def test_wal_that_pgbackrest_does_not_look_for_is_not_waited_for():
    assert waits(100, FAILS, wanted=spec(options=["--no-archive-check"])) == ""
    assert waits(100, FAILS, repo=of_repository("--archive-check=n")) == ""


def test_what_waits_for_another_storage_does_not_hold_up_this_one():
    """Its WAL goes by the one that does not answer (the agent relays it)."""
    both, away = of_repository(storages="local,s3"), {"name": "s3", "reachable": False}
    assert waits(100, FAILS, repo=both, storages=[{"name": "local"}, away]) == ""
    assert waits(100, FAILS, repo=both, wanted=spec(storage="s3"), storages=[{"name": "local"}, away])


@pytest.mark.parametrize(("queued", "argument"), [(0, []), (1, []), (2, ["--archive-timeout=68"]), (100, ["--archive-timeout=460"]),
                                                  (5000, ["--archive-timeout=1500"])])  # fmt: skip
def test_a_backup_that_begins_before_other_wal_has_more_time_for_its_own(queued, argument):
    assert backlog.argument(spec(), repository(queued), of_repository()) == argument


def test_an_archive_timeout_of_the_users_stays():
    assert backlog.argument(spec(options=["--archive-timeout=90"]), repository(100), of_repository()) == []
    assert backlog.argument(spec(), repository(100), of_repository("--archive-timeout=90")) == []


def found(wanted: BackupSpec, repo: Object | None = None, **status: Any) -> hindrances.Wait | None:
    backup = {"metadata": {"creationTimestamp": stamp(NOW)}, "status": status}
    return hindrances.find(backup, wanted, repo or repository(0), of_repository(), NOW)


def test_a_backup_does_not_begin_in_a_window_and_says_when_it_does():
    window = {"schedule": "0 8 * * *", "duration": "10h"}
    told = found(spec(notDuring=[window]))  # it is noon
    assert told == hindrances.Wait(
        operations.EXCLUDED, "no backup begins now by spec.notDuring; it begins at 2026-11-23T18:00:00Z", 600.0
    )
    assert found(spec(notDuring=[window | {"timeZone": "Asia/Tokyo"}])) is None  # 21 o'clock there
    near = found(spec(notDuring=[{"schedule": "0 12 * * *", "duration": "90s"}]))
    assert near.again == 90.0


def test_windows_that_leave_no_time_are_told():
    told = found(spec(notDuring=[{"schedule": "* * * * *", "duration": "1h"}]))
    assert (told.reason, told.message) == (
        operations.EXCLUDED,
        "the windows of spec.notDuring leave no time to begin in",
    )


def test_one_that_waits_for_its_windows_or_for_wal_blocks_nobody():
    restore = {"kind": "Restore", "metadata": {"name": "r", "uid": "r", "creationTimestamp": stamp(NOW)}}
    for reason in (operations.EXCLUDED, operations.BACKLOG, operations.JOB_STUCK):
        backup = {"kind": "Backup", "metadata": {"name": "b", "uid": "b", "creationTimestamp": "2026-11-01T00:00:00Z"},
                  "status": {"phase": "Pending", "reason": reason}}  # fmt: skip
        assert operations.holder([backup, restore]) is restore
        assert reason in operations.MAY_TAKE_LONG


def test_what_is_missing_is_told_before_what_is_only_in_the_way():
    busy = spec(notDuring=[{"schedule": "* * * * *", "duration": "1h"}])
    away = repository(100, FAILS) | {"status": {"unarchivedWAL": 100, "conditions": [FAILS]}}
    assert found(busy, away).reason == operations.NOT_READY
    assert found(spec(), repository(100, FAILS, primary=None)).reason == "NoPrimary"
    assert found(spec(), repository(100, FAILS)).reason == operations.BACKLOG
