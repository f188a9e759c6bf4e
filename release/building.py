"""Builds of a release's images: from a base named by digest, at the commit's time, without a cache where asked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localcluster.cache import sha256
from localcluster.commands import run
from localcluster.errors import LocalClusterError
from localcluster.image_inputs import Image, snapshot
from localcluster.images import REPOSITORY, Store

#: As BASE: a base that this machine makes, where none can be pulled.
MADE_HERE = "debootstrap"
_BY_DIGEST = re.compile(r"[^@\s]+@sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Base:
    """What the Dockerfile's BASE is, and the sha256 that it goes by."""

    reference: str
    name: str
    digest: str


def named(base: str) -> str:
    """The digest in *base*, "" for a base made here; an error for a name that moves."""
    if base == MADE_HERE:
        return ""
    if found := _BY_DIGEST.fullmatch(base):
        return found[1]
    raise LocalClusterError(
        f"BASE is {base!r}: a release is made from a base image with a digest",
        way_out=f"BASE=debian:trixie-slim@sha256:… with the digest that your registry gives, or BASE={MADE_HERE}",
    )


def base_of(store: Store, base: str, release: str) -> Base:
    """The base image; with MADE_HERE its digest is that of the archive."""
    if digest := named(base):
        return Base(base, base.partition("@")[0], digest)
    return Base(store.base_image(release), f"debian-{release}.tar.gz", sha256(store.base(release)))


def build(store: Store, image: Image, arguments: dict[str, str], time: int, tag: str, *more: str) -> str:
    """Its ID. The caller holds the store's lock."""
    context = store.root / "contexts" / f"{image.name}-of-release"
    snapshot(REPOSITORY / image.context, image.inputs, context)
    store.bud(image, context, tag, arguments, "--timestamp", str(time), *more)
    return store.buildah("inspect", "--type", "image", "--format", "{{.FromImageID}}", tag).strip()


@contextmanager
def opened(store: Store, tag: str) -> Iterator[Path]:
    """The image's file system."""
    container = store.buildah("from", "--pull-never", tag).strip()
    try:
        yield Path(store.buildah("mount", container).strip())
    finally:
        store.buildah("rm", container)


def differing(one: Path, other: Path) -> list[str]:
    """Paths of the files that are not the same in both."""
    first, second = _files(one), _files(other)
    return sorted(path for path in first.keys() | second.keys() if first.get(path) != second.get(path))


def _files(root: Path) -> dict[str, str]:
    found = {}
    for path in root.rglob("*"):
        if path.is_symlink():
            found[path.relative_to(root).as_posix()] = str(path.readlink())
        elif path.is_file():
            mode = oct(path.stat().st_mode)
            found[path.relative_to(root).as_posix()] = mode + hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def commit(*, clean: bool) -> tuple[str, int]:
    """The commit that is checked out, and its time. *clean*: nothing else may lie in the checkout."""
    git = ("git", "-C", str(REPOSITORY))
    if clean and run([*git, "status", "--porcelain"]).strip():
        raise LocalClusterError("the checkout has changes that are in no commit", way_out="commit or stash them")
    name, time = run([*git, "log", "-1", "--format=%H %ct"]).split()
    return name, int(time)


def tools() -> dict[str, str]:
    """Versions of what builds."""
    return {
        "buildah": run(["buildah", "--version"]).split()[2],
        "debootstrap": run(["debootstrap", "--version"]).split()[-1],
    }
