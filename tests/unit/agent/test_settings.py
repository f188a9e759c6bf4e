"""The environment of a container of ours, and the probe."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from agent.check import check
from harness.waiting import SLOWER
from pgwarden.contract.environment import Instance, Role, Settings, SettingsError

POSTGRES = {"PGWARDEN_ROLE": "postgres", "PGWARDEN_STANZA": "hippo", "PGWARDEN_PG_DATA": "/data"}


def test_defaults_are_postgresqls():
    assert Settings.read(POSTGRES) == Settings(Role.POSTGRES, "hippo", Instance("/data"))


def test_all_values_are_read():
    more = {
        "PGWARDEN_PG_PORT": "5433",
        "PGWARDEN_PG_SOCKET": "/s",
        "PGWARDEN_PG_USER": "u",
        "PGWARDEN_PG_DATABASE": "d",
        "PGWARDEN_CONFIGURE_BY": "AlterSystem",
    }
    assert Settings.read(POSTGRES | more).instance == Instance("/data", 5433, "/s", "u", "d", alter_system=True)


def test_every_fault_is_named_at_once():
    with pytest.raises(SettingsError) as caught:
        Settings.read({"PGWARDEN_ROLE": "postgres", "PGWARDEN_STANZA": "a]b", "PGWARDEN_PG_USER": "x\ny"})
    for name in ("PGWARDEN_STANZA", "PGWARDEN_PG_DATA", "PGWARDEN_PG_USER"):
        assert name in str(caught.value)


def test_the_repository_host_needs_no_postgresql():
    assert Settings.read({"PGWARDEN_ROLE": "repository", "PGWARDEN_STANZA": "hippo"}).instance is None


def test_the_probe_passes_beside_postgresql_as_long_as_there_is_no_configuration(tmp_path, unused_tcp_port, files):
    ports = (unused_tcp_port,)
    assert check({"PGWARDEN_ROLE": "postgres"}, tmp_path, ports) == 0
    assert check({"PGWARDEN_ROLE": "repository"}, tmp_path, ports) == 1
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert check({"PGWARDEN_ROLE": "postgres"}, tmp_path, ports) == 1
    with socket.create_server(("127.0.0.1", unused_tcp_port)):
        assert check({"PGWARDEN_ROLE": "postgres"}, tmp_path, ports) == 0


def test_the_probe_imports_next_to_nothing():
    code = (
        "import sys; from agent.main import main; main(['--check']); "
        "print([m for m in ('aiohttp', 'asyncio', 'psycopg', 'structlog', 'msgspec', 'ssl') if m in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30 * SLOWER
    ).stdout
    assert shown.splitlines()[-1] == "[]"
