"""What the agent reads in pg_control, beside what PostgreSQL's own program says of it."""

from __future__ import annotations

import sys

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
    content = (data / "global/pg_control").read_bytes()
    for version, known in ((1300, True), (1700, True), (1800, True), (1902, False), (1201, False)):
        other = content[:8] + version.to_bytes(4, sys.byteorder) + content[12:]
        assert (control_file.parse(other) is not None) is known
