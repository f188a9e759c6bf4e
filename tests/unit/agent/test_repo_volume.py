"""The local storage's volume as the repository host's agent sees it, on real folders."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.paths import Paths
from agent.repo_volume import NOT_MOUNTED, TROUBLE, RepoVolume
from pgwarden.contract.status import Half

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
CONF = "[global]\nrepo1-path=/pgwarden/repo\nrepo1-type=posix\nrepo2-path=/pg/hippo\nrepo2-type=s3\n"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """The volume, with a whole stanza on it."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "pgbackrest.conf").write_text(CONF)
    for half, holds in (("archive", "17-1"), ("backup", "20261128-120000F")):
        folder = tmp_path / "repo" / half / "hippo"
        (folder / holds).mkdir(parents=True)
        (folder / f"{half}.info").write_text("[db]")
        (folder / f"{half}.info.copy").write_text("[db]")
    return tmp_path / "repo"


@pytest.fixture
def volume(tmp_path: Path) -> RepoVolume:
    return RepoVolume(Paths.below(tmp_path), "hippo")


def info() -> dict[str, Any]:
    well = {"code": 1, "message": "missing stanza path"}
    return {"repo": [{"key": 1, "status": well}, {"key": 2, "status": {"code": 0, "message": "ok"}}]}


def test_a_whole_stanza_on_a_writable_volume(repo: Path, volume: RepoVolume):
    seen = volume.look()
    assert seen is not None
    assert (seen.mounted, seen.read_only, seen.error) == (True, False, None)
    assert seen.archive == seen.backup == Half(info=True, copy=True, holds=True)
    assert seen.size
    assert seen.free is not None
    assert sorted(path.name for path in repo.iterdir()) == ["archive", "backup"], "the probe is gone"


def test_what_a_stanza_create_without_room_has_left_is_a_rest(tmp_path: Path, volume: RepoVolume):
    """pgBackRest refuses it: "archive directory not empty"."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "pgbackrest.conf").write_text(CONF)
    left = tmp_path / "repo" / "archive" / "hippo"
    left.mkdir(parents=True)
    (left / "archive.info.pgbackrest.tmp").touch()
    seen = volume.look()
    assert seen is not None
    assert (seen.archive, seen.backup) == (Half(holds=True), Half())
    assert volume.set_aside(NOW).ok
    assert not left.exists()


def test_a_configuration_without_a_volume_has_none(repo: Path, volume: RepoVolume):
    (repo.parent / "conf" / "pgbackrest.conf").write_text("[global]\nrepo1-path=/pg/hippo\nrepo1-type=s3\n")
    assert volume.look() is None


def test_where_the_volume_is_not_mounted_its_storage_is_told_unreadable_and_the_other_one_is_not(
    tmp_path: Path, repo: Path, volume: RepoVolume
):
    repo.rename(tmp_path / "elsewhere")
    seen, told = volume.look(), info()
    assert seen is not None
    assert not seen.mounted
    volume.complete(told)
    assert [one["status"]["code"] for one in told["repo"]] == [TROUBLE, 0]
    assert told["repo"][0]["status"]["message"] == NOT_MOUNTED
    (tmp_path / "elsewhere").rename(repo)
    mounted = info()
    volume.complete(mounted)
    assert mounted == info()


@pytest.mark.parametrize("lost", ["archive", "backup"])
def test_what_is_left_of_half_a_stanza_is_moved_and_stays_whole(repo: Path, volume: RepoVolume, lost: str):
    other = {"archive": "backup", "backup": "archive"}[lost]
    for name in (f"{lost}.info", f"{lost}.info.copy"):
        (repo / lost / "hippo" / name).unlink()
    before = sorted(path.name for path in (repo / other / "hippo").iterdir())
    done = volume.set_aside(NOW)
    assert (done.ok, done.output) == (True, "set-aside/20261128-120000")
    assert not (repo / other / "hippo").exists()
    assert not (repo / lost / "hippo").exists()
    aside = repo / "set-aside" / "20261128-120000"
    assert sorted(path.name for path in (aside / other / "hippo").iterdir()) == before
    seen = volume.look()
    assert seen is not None
    assert seen.archive == seen.backup == Half()


def test_a_whole_stanza_is_not_moved_be_it_by_its_copies_alone(repo: Path, volume: RepoVolume):
    (repo / "archive" / "hippo" / "archive.info").unlink()
    done = volume.set_aside(NOW)
    assert not done.ok
    assert done.error == "both halves of the stanza are there"
    assert (repo / "archive" / "hippo" / "17-1").is_dir()
