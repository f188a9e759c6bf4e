"""Keys, snapshots and settings of image builds, and that unchanged inputs build nothing."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

import pytest

from localcluster import images
from localcluster.errors import LocalClusterError
from localcluster.image_inputs import (
    IMAGES,
    SNAPSHOT_TIME,
    Image,
    digest,
    mirror_of,
    pip_configuration,
    prune,
    seal,
    sealed,
    snapshot,
    tree_digest,
)
from tests.unit.localcluster.conftest import FakeStore

IMAGE = Image("thing", "localhost/thing:1", "forky", "Dockerfile", ("Dockerfile", "code"))


def taken(source: Path, tmp_path: Path) -> Path:
    target = tmp_path / "taken"
    snapshot(source, IMAGE.inputs, target)
    return target


def test_digest_keeps_the_boundaries_of_its_parts() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("a", b"b") == digest(b"a", "b")


def test_snapshot_takes_the_inputs_and_nothing_else(source: Path, tmp_path: Path) -> None:
    (source / "code" / "__pycache__").mkdir()
    (source / "code" / "__pycache__" / "main.pyc").write_bytes(b"")
    target = taken(source, tmp_path)
    assert sorted(str(p.relative_to(target)) for p in target.rglob("*")) == ["Dockerfile", "code", "code/main.py"]


def test_snapshots_of_the_same_content_look_the_same_to_the_layer_cache(source: Path, tmp_path: Path) -> None:
    (source / "code" / "main.py").chmod(0o600)
    target = taken(source, tmp_path)
    assert {path.stat().st_mtime for path in target.rglob("*")} == {SNAPSHOT_TIME}
    assert (target / "code" / "main.py").stat().st_mode & 0o777 == 0o644


def test_snapshot_replaces_what_an_earlier_one_left(source: Path, tmp_path: Path) -> None:
    taken(source, tmp_path)
    (source / "code" / "main.py").rename(source / "code" / "other.py")
    assert not (taken(source, tmp_path) / "code" / "main.py").exists()


def test_missing_input_is_named(source: Path, tmp_path: Path) -> None:
    with pytest.raises(LocalClusterError, match=r"requirements\.lock"):
        snapshot(source, ("requirements.lock",), tmp_path / "taken")


@pytest.mark.parametrize("change", ["content", "name", "mode", "new file"])
def test_tree_digest_changes_with(change: str, source: Path) -> None:
    before = tree_digest(source)
    file = source / "code" / "main.py"
    if change == "content":
        file.write_text("print(2)\n")
    elif change == "name":
        file.rename(file.with_name("other.py"))
    elif change == "mode":
        file.chmod(0o755)
    else:
        (source / "code" / "empty.py").touch()
    assert tree_digest(source) != before


def test_tree_digest_does_not_change_with_times(source: Path) -> None:
    before = tree_digest(source)
    os.utime(source / "code" / "main.py", (1, 1))
    assert tree_digest(source) == before


def test_unchanged_inputs_are_not_built_again(store: FakeStore) -> None:
    first = store.build(IMAGE)
    assert store.build(IMAGE) == first
    assert store.builds == 1


def test_changed_input_gets_an_archive_of_its_own(store: FakeStore, source: Path) -> None:
    first = store.build(IMAGE)
    (source / "code" / "main.py").write_text("print(2)\n")
    second = store.build(IMAGE)
    assert second != first
    assert first.exists()
    assert store.builds == 2


def test_damaged_archive_is_built_again(store: FakeStore) -> None:
    archive = store.build(IMAGE)
    archive.write_text("half")
    assert store.build(IMAGE).read_text() == "build 2"


def test_damaged_layer_store_is_emptied_once(store: FakeStore) -> None:
    store.faults = [LocalClusterError("buildah bud: layer not known")]
    assert store.build(IMAGE).read_text() == "build 2"
    assert store.forgotten == 1


def test_failing_step_is_not_taken_for_a_damaged_store(store: FakeStore) -> None:
    store.faults = [LocalClusterError("buildah bud: exit status 100")]
    with pytest.raises(LocalClusterError, match="exit status 100"):
        store.build(IMAGE)
    assert store.forgotten == 0


def test_only_the_newest_archives_are_kept(store: FakeStore, source: Path) -> None:
    for number in range(images.ARCHIVES_KEPT + 2):
        (source / "code" / "main.py").write_text(str(number))
        os.utime(store.build(IMAGE), (number, number))
    assert len(list(store.archives.glob("thing-*.tar"))) == images.ARCHIVES_KEPT
    assert len(list(store.archives.glob("*.sha256"))) == images.ARCHIVES_KEPT


def test_prune_leaves_other_files_alone(tmp_path: Path) -> None:
    for name in ("a-1.tar", "a-2.tar", "b-1.tar"):
        (tmp_path / name).touch()
    prune(tmp_path, "a-*.tar", 1)
    assert len(list(tmp_path.glob("a-*"))) == 1
    assert (tmp_path / "b-1.tar").exists()


def test_file_without_its_checksum_counts_as_broken(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("x")
    path = seal(tmp_path / "new", tmp_path / "file")
    assert sealed(path)
    (tmp_path / "file.sha256").unlink()
    assert not sealed(path)
    assert not sealed(tmp_path / "absent")


def test_mirror_is_not_the_security_archive() -> None:
    addresses = ["http://mirror.example/debian-security/", "http://mirror.example/debian/"]
    assert mirror_of(addresses) == "http://mirror.example/debian/"
    with pytest.raises(LocalClusterError, match="no Debian archive"):
        mirror_of(addresses[:1])


def test_pip_configuration_leaves_the_machines_folders_behind() -> None:
    listing = [
        "global.index-url='https://index.example/simple'",
        "global.cert='/etc/ssl/certs/ca.crt'",
        ":env:.timeout='180'",
        ":env:.find-links='/opt/somewhere'",
        "install.trusted-host='a.example\\nb.example'",
        "noise",
    ]
    parsed = configparser.ConfigParser()
    parsed.read_string(pip_configuration(listing, "/mnt/ca.crt"))
    assert dict(parsed["global"]) == {
        "index-url": "https://index.example/simple",
        "timeout": "180",
        "trusted-host": "a.example\nb.example",
        "cert": "/mnt/ca.crt",
    }


def test_build_is_the_command_if_none_is_named() -> None:
    assert vars(images.arguments(["pgwarden", "--load"])) == {"command": "build", "names": ["pgwarden"], "load": True}
    usual = images.arguments([]).names
    assert usual == [name for name in IMAGES if not IMAGES[name].on_demand]
    assert {"pgwarden", "pgwarden-patroni", "postgres", "postgres-musl"} == set(usual)
    assert images.arguments(["bases"]).names == ["forky", "trixie"]
    with pytest.raises(SystemExit):
        images.arguments(["build", "nothing"])


def test_every_image_names_inputs_that_hold_its_dockerfile() -> None:
    root = Path(images.__file__).parent.parent
    for image in (one for one in IMAGES.values() if not one.parent):
        assert (root / image.context / image.dockerfile).is_file()
        assert any(image.dockerfile.split("/")[0] == name for name in image.inputs)
