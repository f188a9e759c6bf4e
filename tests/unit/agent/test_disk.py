"""How full the file systems of data and WAL are, on real ones: the folder of this test, and the memory of /dev/shm."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import disk
from agent.postgres import Postgres
from pgwarden.contract.environment import Instance

SHM = Path("/dev/shm")  # another file system than that of tmp_path


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=SHM) as folder:
        yield Path(folder)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_size_used_and_free_are_those_of_df(data: Path):
    found, seen = disk.usage(data), os.statvfs(data)
    assert found is not None
    assert found.size == seen.f_blocks * seen.f_frsize
    assert found.used is not None
    assert found.free is not None
    assert found.used + found.free <= found.size
    assert found.percent == pytest.approx(100 * found.used / (found.used + found.free))


def test_wal_in_the_data_directory_is_on_its_volume(data: Path):
    (data / "pg_wal").mkdir()
    found, wal = disk.of_server(str(data))
    assert found is not None
    assert wal is None


def test_wal_on_another_volume_has_a_usage_of_its_own(data: Path, elsewhere: Path):
    (data / "pg_wal").symlink_to(elsewhere)
    found, wal = disk.of_server(str(data))
    assert found is not None
    assert wal is not None
    assert wal.size == os.statvfs(SHM).f_blocks * os.statvfs(SHM).f_frsize


def test_wal_that_is_not_seen_from_here_is_not_told_of(data: Path):
    (data / "pg_wal").symlink_to("/nowhere/at/all")
    assert disk.of_server(str(data))[1] is None


def test_a_folder_that_is_away_is_not_known():
    assert disk.of_server("/nowhere/at/all") == (None, None)


async def test_a_server_that_is_down_because_its_volume_is_full_is_measured_all_the_same(data: Path, elsewhere: Path):
    (data / "pg_wal").symlink_to(elsewhere)
    seen = await Postgres(Instance(str(data), socket_directory=str(data))).look()
    assert not seen.postgres.reachable
    assert seen.data is not None
    assert seen.wal is not None
