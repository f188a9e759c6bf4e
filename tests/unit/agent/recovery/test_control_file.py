"""pg_control is read as pg_controldata reads it."""

from __future__ import annotations

import pytest

from agent.recovery import control_file
from agent.recovery.settings import Control
from tests.unit.agent.recovery.conftest import BIN, folder, run

SETTINGS = {
    "wal_level": "logical",
    "max_connections": "123",
    "max_prepared_transactions": "7",
    "max_wal_senders": "9",
    "max_locks_per_transaction": "77",
    "wal_log_hints": "on",
    "track_commit_timestamp": "on",
    "listen_addresses": "''",
}


@pytest.mark.skipif(BIN is None, reason="no PostgreSQL on this machine")
def test_it_says_what_pg_controldata_says():
    root = folder()
    data = root / "data"
    run(BIN / "initdb", "-D", data, "--no-sync", "--wal-segsize=4")
    with (data / "postgresql.conf").open("a") as conf:
        conf.writelines(f"{name} = {value}\n" for name, value in SETTINGS.items())
        conf.write(f"unix_socket_directories = '{root}'\n")
    run(BIN / "pg_ctl", "-D", data, "-s", "-w", "-l", root / "log", "start")
    run(BIN / "pg_ctl", "-D", data, "-s", "-w", "stop")
    said = Control.parse(run(BIN / "pg_controldata", data).stdout)
    found = control_file.parse((data / "global/pg_control").read_bytes())
    assert found
    assert found.values == {name: said.values[name] for name in found.values}
    assert (found.number("max_connections setting"), found.segment_bytes) == (123, 4 * 1024 * 1024)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 8192, b"\xff" * 300, b"x" * 20], ids=["empty", "zeros", "ones", "short"]
)
def test_another_layout_is_not_guessed_at(content):
    assert control_file.parse(content) is None
