"""The tool cache heals itself: real files, a builder that only writes them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from localcluster.cache import STAMP, Artifact, Cache
from localcluster.errors import LocalClusterError


class Builder:
    """Writes a shell script that answers, and counts how often it was asked to."""

    def __init__(self, text: str = "#!/bin/sh\necho 1.0\n") -> None:
        self.text = text
        self.builds = 0

    def __call__(self, folder: Path) -> None:
        self.builds += 1
        (folder / "tool").write_text(self.text)
        (folder / "tool").chmod(0o755)


def answers(folder: Path) -> None:
    if "echo" not in (folder / "tool").read_text():
        raise LocalClusterError("no answer")


@pytest.fixture
def builder() -> Builder:
    return Builder()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


@pytest.fixture
def artifact(builder: Builder) -> Artifact:
    return Artifact("tool", "1.0", ("tool",), builder, answers)


def test_builds_once(cache: Cache, artifact: Artifact, builder: Builder) -> None:
    folder = cache.ensure(artifact)
    assert cache.ensure(artifact, full=True) == folder == cache.tools / "tool-1.0"
    assert builder.builds == 1
    assert json.loads((folder / STAMP).read_text())["version"] == "1.0"


@pytest.mark.parametrize("damage", ["missing", "changed", "no stamp", "torn stamp", "foreign stamp"])
def test_rebuilds_a_broken_entry(cache: Cache, artifact: Artifact, builder: Builder, damage: str) -> None:
    folder = cache.ensure(artifact)
    {
        "missing": (folder / "tool").unlink,
        "changed": lambda: (folder / "tool").write_text("garbage"),
        "no stamp": (folder / STAMP).unlink,
        "torn stamp": lambda: (folder / STAMP).write_text('{"version": "1.0", "fil'),
        "foreign stamp": lambda: (folder / STAMP).write_text('{"version": "0.9", "files": {}}'),
    }[damage]()
    assert cache.fault(artifact, full=False) is not None
    cache.ensure(artifact)
    assert builder.builds == 2
    assert (folder / "tool").read_text() == builder.text
    assert cache.fault(artifact, full=True) is None


def test_a_touched_but_equal_file_is_no_fault(cache: Cache, artifact: Artifact, builder: Builder) -> None:
    """A cache restored by CI has new modification times."""
    folder = cache.ensure(artifact)
    (folder / "tool").touch()
    cache.ensure(artifact)
    assert builder.builds == 1


def test_same_size_and_time_is_caught_by_the_full_check(cache: Cache, artifact: Artifact, builder: Builder) -> None:
    tool = cache.ensure(artifact) / "tool"
    stat = tool.stat()
    tool.write_text(builder.text.replace("1.0", "6.6"))
    os.utime(tool, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert cache.fault(artifact, full=False) is None
    assert "checksum" in (cache.fault(artifact, full=True) or "")
    cache.ensure(artifact, full=True)
    assert builder.builds == 2


def test_leftovers_of_a_killed_build_are_removed(cache: Cache, artifact: Artifact, builder: Builder) -> None:
    for suffix in ("tmp", "old"):
        leftover = cache.tools / f".{artifact.key}.{suffix}"
        leftover.mkdir(parents=True)
        (leftover / "half").write_text("x")
    folder = cache.ensure(artifact)
    assert builder.builds == 1
    assert sorted(path.name for path in cache.tools.iterdir() if path.is_dir()) == [folder.name]


def test_a_failed_build_leaves_the_old_entry_and_no_half(cache: Cache, artifact: Artifact, builder: Builder) -> None:
    folder = cache.ensure(artifact)
    (folder / "tool").write_text("garbage")
    builder.text = "#!/bin/sh\nexit 1\n"
    with pytest.raises(LocalClusterError, match="no answer"):
        cache.ensure(artifact)
    assert not (cache.tools / f".{artifact.key}.tmp").exists()
    builder.text = "#!/bin/sh\necho mended\n"
    cache.ensure(artifact)
    assert cache.fault(artifact, full=True) is None


def test_a_build_that_forgets_a_file_fails(cache: Cache, builder: Builder) -> None:
    with pytest.raises(LocalClusterError, match="left no other"):
        cache.ensure(Artifact("tool", "1.0", ("tool", "other"), builder))
    assert not cache.folder(Artifact("tool", "1.0", (), builder)).exists()


def test_versions_live_side_by_side(cache: Cache, builder: Builder) -> None:
    for version in ("1.0", "2.0"):
        cache.ensure(Artifact("tool", version, ("tool",), builder))
    assert builder.builds == 2
    assert (cache.tools / "tool-1.0" / "tool").is_file()
    assert (cache.tools / "tool-2.0" / "tool").is_file()
