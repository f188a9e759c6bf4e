"""A restore never writes over what pgwarden did not write itself."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

import pytest

from agent import volume


@pytest.fixture
def root(tmp_path):
    (tmp_path / "lost+found").mkdir()
    return tmp_path


@pytest.fixture
def data(root):
    return root / "18/docker"


def fill(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("x")


def test_an_empty_volume_gets_a_private_data_directory_and_the_marker(root, data):
    assert volume.prepare(data, root, "uid-1") == []
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert (root / volume.MARKER).read_text() == "uid-1"


@pytest.mark.parametrize("evidence", ["backup.manifest", "PG_VERSION"])
def test_a_restore_of_ours_that_was_interrupted_goes_on_with_delta(root, data, evidence):
    volume.prepare(data, root, "uid-1")
    fill(data, evidence, "postgresql.conf")
    assert volume.prepare(data, root, "uid-1") == ["--delta"]
    assert (data / "postgresql.conf").exists()


def test_leftovers_of_ours_that_pgbackrest_would_refuse_are_removed(root, data, tmp_path_factory):
    volume.prepare(data, root, "uid-1")
    fill(data / "base/1", "1")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    fill(elsewhere, "wal")
    (data / "pg_wal").symlink_to(elsewhere)

    assert volume.prepare(data, root, "uid-1") == []
    assert list(data.iterdir()) == []
    assert (elsewhere / "wal").exists()  # a link is removed, not what it names


@pytest.mark.parametrize("present", ["base.tar", "PG_VERSION", "backup.manifest"])
def test_files_without_our_marker_are_refused_and_left_alone(root, data, present):
    fill(data, present)
    with pytest.raises(volume.VolumeError, match="did not write"):
        volume.prepare(data, root, "uid-1")
    assert (data / present).exists()


def test_a_volume_of_another_restore_is_refused(root, data):
    volume.prepare(data, root, "uid-1")
    fill(data, "PG_VERSION")
    with pytest.raises(volume.VolumeError, match="uid-1"):
        volume.prepare(data, root, "uid-2")


def test_a_data_directory_outside_the_volume_is_refused(root, tmp_path_factory):
    with pytest.raises(volume.VolumeError, match="not on the volume"):
        volume.prepare(tmp_path_factory.mktemp("other") / "data", root, "uid-1")


def test_where_the_volume_is_the_data_directory_pgbackrests_own_file_is_the_marker(root):
    assert volume.prepare(root, root, "uid-1") == []
    assert not (root / volume.MARKER).exists()  # it would go into the next backup
    fill(root / "base", "1")
    assert volume.prepare(root, root, "uid-1") == ["--delta"]


@pytest.mark.parametrize(("uid", "ours"), [("uid-1", True), ("uid-2", False), ("", False)])
def test_a_pod_after_one_that_was_killed_right_after_its_work_finds_the_volume_to_be_ours(root, uid, ours):
    fill(root, "PG_VERSION")
    (root / volume.RECOVERY_SIGNAL).touch()
    volume.sign(root, ["restore"], "uid-1")
    if ours:
        assert volume.prepare(root, root, uid) == ["--delta"]
        return
    with pytest.raises(volume.VolumeError, match="no restore is in progress"):
        volume.prepare(root, root, uid)


def test_where_the_volume_is_a_cluster_it_is_refused(root):
    fill(root, "PG_VERSION")
    with pytest.raises(volume.VolumeError):
        volume.prepare(root, root, "uid-1")


def test_the_root_of_a_fresh_volume_is_given_away(root, monkeypatch):
    given = []
    monkeypatch.setattr(os, "chown", lambda *args: given.append(args))
    volume.own(root, 4711, 4712)
    (root / volume.MARKER).write_text("uid-1")
    volume.own(root, 4711, 4712)
    assert given == [(root, 4711, 4712)] * 2


def test_the_root_of_a_used_volume_is_kept(root, monkeypatch):
    monkeypatch.setattr(os, "chown", lambda *_args: pytest.fail("changed hands"))
    fill(root, "PG_VERSION")
    with pytest.raises(volume.VolumeError, match="PG_VERSION"):
        volume.own(root, 4711, 4712)
    volume.own(root, os.getuid(), os.getgid())  # but what is right already is no fault


def test_folders_of_tablespaces_are_made_on_the_volume_alone(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "fast"
    fill(root / "old", "16384")
    volume.make_folders([root / "old", root / "spaces/fast", elsewhere], root)
    assert stat.S_IMODE((root / "spaces/fast").stat().st_mode) == 0o700
    assert (root / "old/16384").exists()
    assert not elsewhere.exists()


async def test_a_volume_that_another_writes_to_is_refused_after_a_while(root):
    async with volume.alone(root):
        with pytest.raises(volume.VolumeError, match="another pod has been writing"):
            async with volume.alone(root, 0.3):
                pytest.fail("two at once")
    async with volume.alone(root, 0.3):
        pass


async def test_a_file_system_without_locks_is_used_without(root, monkeypatch):
    def unsupported(*_args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    async with volume.alone(root, 0):
        pass


@pytest.mark.parametrize(
    ("args", "there", "content"),
    [
        (["--repo=2", "restore"], True, "--repo=2\nuid-1\n"),
        (["restore"], True, "\nuid-1\n"),
        (["--repo=2", "--type=none", "restore"], False, None),
    ],
)
def test_recovery_signal_names_the_storage_that_was_restored_from(tmp_path, args, there, content):
    signal = tmp_path / "recovery.signal"
    if there:
        signal.touch()
    volume.sign(tmp_path, args, "uid-1")
    assert (signal.read_text() if signal.exists() else None) == content
