"""What the server is started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.recovery import settings
from agent.recovery.settings import Control, Files

CONTROL = """\
pg_control version number:            1300
Database system identifier:           7434343434343434343
Database cluster state:               in production
Latest checkpoint's TimeLineID:       3
wal_level setting:                    logical
wal_log_hints setting:                on
max_connections setting:              300
max_worker_processes setting:         8
max_wal_senders setting:              5
max_prepared_xacts setting:           7
max_locks_per_xact setting:           64
track_commit_timestamp setting:       on
Bytes per WAL segment:                16777216
"""
FILES = Files(Path("/d"), Path("/r/postgresql.conf"), Path("/r/hba.conf"), Path("/r/ident.conf"), Path("/r/s"))


def started(control: str = CONTROL, **more) -> dict[str, str]:
    words = settings.arguments(FILES, Control.parse(control), **({"restore_command": "x", "target": {}} | more))
    assert words[:2] == ["-D", "/d"]
    assert words[2::2] == ["-c"] * (len(words) // 2 - 1)
    return dict(word.partition("=")[::2] for word in words[3::2])


def test_parameters_are_no_smaller_than_pg_control_asks_for():
    found = started()
    assert (found["max_connections"], found["max_wal_senders"], found["max_prepared_transactions"]) == (
        "300",
        "10",
        "7",
    )


def test_what_an_attempt_has_asked_for_is_added():
    assert started(least={"max_prepared_transactions": 64})["max_prepared_transactions"] == "64"


def test_what_would_throw_data_away_or_change_the_wal_stays():
    found = started()
    assert (found["wal_level"], found["wal_log_hints"], found["track_commit_timestamp"]) == ("logical", "on", "on")
    assert started("wal_level setting:    minimal")["wal_level"] == "replica"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("listen_addresses", ""),
        ("archive_command", ""),
        ("recovery_end_command", ""),
        ("archive_cleanup_command", ""),
        ("shared_preload_libraries", ""),
        ("hot_standby", "off"),
        ("hba_file", "/r/hba.conf"),
        ("config_file", "/r/postgresql.conf"),
    ],
)
def test_nobody_reaches_it_and_no_command_of_the_source_is_run(name, value):
    assert started()[name] == value


def test_a_target_is_passed_on_and_nothing_else_by_its_way():
    found = started(target={"recovery_target_lsn": "0/1", "recovery_target_action": "pause", "port": "1"})
    assert (found["recovery_target_lsn"], found["recovery_target_action"]) == ("0/1", "promote")
    assert "port" not in found
    assert "recovery_target_action" not in started(target={"recovery_target_timeline": "2"})


def test_the_control_file_is_read():
    found = Control.parse(CONTROL)
    assert (found.timeline, found.system_identifier, found.segment_bytes) == (3, "7434343434343434343", 16777216)
    assert Control.parse("nonsense").timeline == 0
