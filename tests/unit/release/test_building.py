"""What a release may be made from, and what tells two builds apart."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from localcluster.errors import LocalClusterError
from localcluster.image_inputs import IMAGES
from release import __main__ as release
from release.building import MADE_HERE, differing, named
from tests.unit.sources import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "base", ["", "debian:trixie-slim", "debian:trixie-slim@sha256:", f"debian@sha256:{DIGEST[:-1]}"]
)
def test_a_release_from_a_base_without_a_digest_is_refused(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LocalClusterError, match="from a base image with a digest"):
        named(base)
    assert release.main(["release", "--base", base]) == 1
    assert "BASE=debian:trixie-slim@sha256:…" in capsys.readouterr().err


def test_a_digest_is_read_and_a_base_made_here_has_none_yet() -> None:
    assert named(f"registry.example.com:5000/debian:trixie-slim@sha256:{DIGEST}") == DIGEST
    assert named(MADE_HERE) == ""


def test_files_that_differ_are_named(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for root in (one, other):
        root.mkdir()
        for name in ("same", "content", "mode"):
            (root / name).write_text("x")
        (root / "link").symlink_to(root.name)
    (one / "only").touch()
    (other / "content").write_text("y")
    (other / "mode").chmod(0o600)
    assert differing(one, other) == ["content", "link", "mode", "only"]


def test_every_stage_stands_on_stable_debian_or_on_another_stage() -> None:
    assert "ARG BASE=debian:trixie-slim\n" in DOCKERFILE
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.MULTILINE)
    assert [origin for origin, _ in stages if origin not in {"${BASE}", *(name for _, name in stages)}] == []
    assert {IMAGES[name].release for name in release.RELEASED} == {"trixie"}


def test_of_testing_only_pgbackrest_is_asked_for() -> None:
    assert re.findall(r"\s([a-z0-9-]+/forky)\s", DOCKERFILE) == ["pgbackrest/forky"]
    assert "Pin: release n=forky\\nPin-Priority: 100" in DOCKERFILE


@pytest.mark.parametrize("snapshot", ["", "20261130T000000Z"])
def test_a_snapshot_takes_the_place_of_every_archive(snapshot: str, tmp_path: Path) -> None:
    """The step of the Dockerfile, in another folder."""
    step = DOCKERFILE.partition("ARG SNAPSHOT=\nRUN ")[2].partition("\n\n")[0]
    for name in ("sources.list", "sources.list.d/debian.sources", "apt.conf.d/other"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("before\n")
    script = step.replace("/etc/apt", str(tmp_path))
    subprocess.run(["/bin/sh", "-c", script], check=True, env={"SNAPSHOT": snapshot, "PATH": os.environ["PATH"]})
    lines = (tmp_path / "sources.list").read_text().splitlines()
    if not snapshot:
        assert lines == ["before"]
        return
    assert not (tmp_path / "sources.list.d" / "debian.sources").exists()
    assert lines == [
        "deb http://snapshot.debian.org/archive/debian/20261130T000000Z trixie main",
        "deb http://snapshot.debian.org/archive/debian/20261130T000000Z trixie-updates main",
        "deb http://snapshot.debian.org/archive/debian-security/20261130T000000Z trixie-security main",
    ]
    assert 'Check-Valid-Until "false"' in (tmp_path / "apt.conf.d/99snapshot").read_text()
