"""What an image consists of, and what of it nobody recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcluster.errors import LocalClusterError
from localcluster.image_inputs import IMAGES
from release import __main__ as release
from release.contents import Package, differences, locked, of_image, strays

STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.41-12+deb13u2
Description: GNU C Library
 with a second line

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1
"""
LOCK = """\
aiohttp==3.14.5 \\
    --hash=sha256:{one} \\
    --hash=sha256:{two}
    # via pgwarden
typing-extensions==4.16.0 ; python_version < '3.13' \\
    --hash=sha256:{one}
""".format(one="1" * 64, two="2" * 64)
LIBC = Package("deb", "libc6", "2.41-12+deb13u2", "amd64")
BACKREST = Package("deb", "pgbackrest", "2.60.0-1", "amd64", "/pgwarden/tools")
TYPING = Package("pypi", "typing_extensions", "4.16.0")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "var/lib/dpkg/status": STATUS,
        "pgwarden/tools/etc/packages.txt": "pgbackrest 2.60.0-1 amd64\n",
        "opt/pgwarden/lib/python3.13/site-packages/typing_extensions-4.16.0.dist-info/METADATA": (
            "Metadata-Version: 2.4\nName: typing_extensions\nVersion: 4.16.0\n\nText\n"
        ),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_an_image_has_what_dpkg_installed_what_was_relocated_and_pythons(root: Path) -> None:
    assert of_image(root) == [LIBC, BACKREST, TYPING]


def test_an_image_without_tools_and_python_has_debians_packages(root: Path) -> None:
    (root / "pgwarden/tools/etc/packages.txt").unlink()
    assert BACKREST not in of_image(root)


@pytest.mark.parametrize(
    ("package", "purl"),
    [
        (LIBC, "pkg:deb/debian/libc6@2.41-12%2Bdeb13u2?arch=amd64"),
        (Package("deb", "passwd", "1:4.17~rc1", "amd64"), "pkg:deb/debian/passwd@1%3A4.17~rc1?arch=amd64"),
        (TYPING, "pkg:pypi/typing-extensions@4.16.0"),
    ],
)
def test_package_urls_are_as_their_standard_wants_them(package: Package, purl: str) -> None:
    assert package.purl == purl


def test_a_lock_is_read_with_its_hashes_and_markers() -> None:
    assert locked(LOCK) == {
        "aiohttp": ("3.14.5", ["1" * 64, "2" * 64]),
        "typing-extensions": ("4.16.0", ["1" * 64]),
    }


def test_python_packages_that_the_lock_lacks_are_strays() -> None:
    found = strays([LIBC, TYPING, Package("pypi", "aiohttp", "3.14.4"), Package("pypi", "pip", "26")], LOCK)
    assert found == ["pypi aiohttp 3.14.4", "pypi pip 26"]


def test_differences_are_told_both_ways() -> None:
    recorded = ["# Made by `make record`.", LIBC.line, "deb openssl 3.5.7 amd64"]
    now = [LIBC, Package("deb", "openssl", "3.5.9", "amd64")]
    assert differences(recorded, now) == ["- deb openssl 3.5.7 amd64", "+ deb openssl 3.5.9 amd64"]
    assert differences(recorded[:2], [LIBC]) == []


def test_a_release_is_refused_where_a_package_is_in_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "RECORDED", tmp_path)
    monkeypatch.setattr(release, "REPOSITORY", tmp_path)
    (tmp_path / "pgwarden.txt").write_text(f"{LIBC.line}\n")
    release.check(IMAGES["pgwarden"], [LIBC])
    with pytest.raises(LocalClusterError, match=r"(?s)\+ deb pgbackrest 2\.60\.0-1.*make record"):
        release.check(IMAGES["pgwarden"], [LIBC, BACKREST])
    with pytest.raises(LocalClusterError, match=r"requirements\.lock has not: pypi intruder 1"):
        release.check(IMAGES["pgwarden"], [LIBC, Package("pypi", "intruder", "1")])


def test_what_was_recorded_is_stables_but_for_pgbackrest_and_its_libxml2() -> None:
    """What runs with keys has a security team behind it."""
    lines = [line.split() for line in (release.RECORDED / "pgwarden.txt").read_text().splitlines()]
    tools = {words[1]: words[2] for words in lines if words[-1] == "/pgwarden/tools"}
    here = {words[1]: words[2] for words in lines if words[0] == "deb" and words[-1] != "/pgwarden/tools"}
    assert {"pgbackrest", "libxml2-16", "libc6", "libssl3t64"} <= tools.keys()
    assert [name for name in tools.keys() & here.keys() if tools[name] != here[name]] == []
    assert {name for name in tools if name.startswith("libxml2")} == {"libxml2-16"}
