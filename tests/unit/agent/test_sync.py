"""/pgwarden/conf follows /pgwarden/source."""

from __future__ import annotations

import ssl
import stat

import pytest

from agent import sync

SECTION = "[hippo]\npg1-path=/data\n"


def test_the_plan_puts_the_section_behind_the_pods_configuration(files):
    planned = sync.plan("pod.conf", files, SECTION)

    assert planned.files["pgbackrest.conf"] == b"[global]\nrepo1-host=hippo-pgbackrest\n\n[hippo]\npg1-path=/data\n"
    assert planned.files["conf.d/credentials.conf"] == files["credentials.conf"]
    assert set(planned.files) == {"pgbackrest.conf", "conf.d/credentials.conf", "ca.crt", "tls.key", "tls.crt"}


@pytest.mark.parametrize("absent", ["pod.conf", "ca.crt", "tls.crt", "tls.key"])
def test_nothing_is_planned_while_a_needed_key_is_absent_or_empty(files, absent):
    for incomplete in ({**files, absent: b""}, {k: v for k, v in files.items() if k != absent}):
        planned = sync.plan("pod.conf", incomplete)
        assert planned.missing == (absent,)
        assert not planned.files


def test_the_plan_without_credentials_is_complete(files):
    del files["credentials.conf"]
    assert not sync.plan("pod.conf", files).missing


def test_the_hash_changes_with_what_is_used_and_only_with_that(files):
    digest = sync.plan("pod.conf", files).digest
    assert sync.plan("pod.conf", {**files, "host.conf": b"not for pods"}).digest == digest
    assert sync.plan("pod.conf", {**files, "credentials.conf": b"new"}).digest != digest
    assert len(digest) == 16


def test_secrets_are_not_in_the_plans_text(files):
    assert "secret" not in repr(sync.plan("pod.conf", files))


def test_files_are_written_for_our_eyes_only_and_only_on_change(paths, source, files):
    source.publish(files)
    syncer = sync.Syncer(paths, "pod.conf", SECTION)

    planned, changed = syncer.sync()
    assert changed
    for name, content in planned.files.items():
        assert (paths.conf / name).read_bytes() == content
        assert stat.S_IMODE((paths.conf / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(paths.include.stat().st_mode) == 0o700
    assert all(folder.is_dir() for folder in paths.work_folders)

    inodes = {name: (paths.conf / name).stat().st_ino for name in planned.files}
    assert syncer.sync()[1] is False
    source.publish({**files, "credentials.conf": b"new"})
    assert syncer.sync()[1] is True
    changed_files = {name for name in planned.files if (paths.conf / name).stat().st_ino != inodes[name]}
    assert changed_files == {"conf.d/credentials.conf"}
    assert not [path for path in paths.conf.iterdir() if path.name.startswith(".")]  # nothing left over


def test_a_key_that_is_gone_from_the_source_goes(paths, source, files):
    source.publish({**files, "storage-ca.crt": b"x"})
    syncer = sync.Syncer(paths, "pod.conf")
    syncer.sync()
    source.publish(files)

    assert syncer.sync()[1] is True
    assert not (paths.conf / "storage-ca.crt").exists()


def test_a_source_that_vanishes_leaves_the_last_configuration(paths, source, files):
    source.publish(files)
    syncer = sync.Syncer(paths, "pod.conf")
    syncer.sync()
    source.publish({})

    planned, changed = syncer.sync()
    assert planned.missing
    assert not changed
    assert (paths.conf / "tls.key").read_bytes() == files["tls.key"]


def test_a_key_that_does_not_fit_its_certificate_changes_nothing(paths, source, files, authority):
    source.publish(files)
    syncer = sync.Syncer(paths, "pod.conf")
    syncer.sync()
    source.publish({**files, "tls.crt": authority.leaf("hippo-pods")[0], "pod.conf": b"[global]\n"})

    with pytest.raises(ssl.SSLError):
        syncer.sync()
    assert (paths.conf / "tls.crt").read_bytes() == files["tls.crt"]
    assert b"repo1-host" in paths.conf_file.read_bytes()
    assert not [path for path in paths.conf.iterdir() if path.name.startswith(".")]


def test_the_token_changes_with_each_swap_and_only_then(paths, source, files):
    empty = sync.source_token(paths.source)
    source.publish(files)
    first = sync.source_token(paths.source)
    assert first == sync.source_token(paths.source) != empty
    source.publish(files)
    assert sync.source_token(paths.source) != first


def test_a_folder_without_data_link_is_read_as_it_is(paths, files):
    paths.source.mkdir(parents=True)
    for name, content in files.items():
        (paths.source / name).write_bytes(content)
    assert sync.read_source(paths.source) == files
