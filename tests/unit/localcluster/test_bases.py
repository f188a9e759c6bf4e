"""Bases made by debootstrap."""

from __future__ import annotations

from pathlib import Path

from localcluster.bases import TRACES, security_of, slim

ARCHIVES = ["http://archive/debian", "http://archive/debian-security "]


def test_stable_has_its_security_archive_and_testing_has_none() -> None:
    assert security_of("trixie", ARCHIVES) == "deb http://archive/debian-security trixie-security main\n"
    assert security_of("forky", ARCHIVES) == ""
    assert security_of("trixie", ARCHIVES[:1]) == ""


def test_what_tells_when_and_where_a_base_was_made_is_removed(tmp_path: Path) -> None:
    kept = ("usr/share/doc/libc6/copyright", "etc/passwd")
    gone = (*TRACES, "var/cache/debconf/config.dat-old", "var/log/dpkg.log", "usr/share/man/man1/ls.1")
    for name in (*kept, *gone, "usr/share/doc/libc6/NEWS", "etc/dpkg/dpkg.cfg.d/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    slim(tmp_path)
    assert [name for name in gone if (tmp_path / name).exists()] == []
    assert [name for name in kept if not (tmp_path / name).exists()] == []
    assert (tmp_path / "var/log").is_dir()
