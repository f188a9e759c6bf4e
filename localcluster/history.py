"""Files as they were at a commit: what a release was made from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from localcluster.commands import run
from localcluster.errors import LocalClusterError
from localcluster.image_inputs import snapshot


def snapshot_of(repository: Path, commit: str, inputs: Iterable[str], target: Path, kept: Path) -> None:
    """As `snapshot`, of *commit* in place of the checkout. An input of later is left out."""
    with tempfile.TemporaryDirectory() as folder:
        extract(repository, commit, Path(folder), kept)
        snapshot(Path(folder), [name for name in inputs if (Path(folder) / name).exists()], target)


def extract(repository: Path, commit: str, folder: Path, kept: Path) -> None:
    """All of *commit* into *folder*. *kept*: the folder with the archives of before, which need no history."""
    run(["tar", "-C", folder, "-xf", _archive(repository, commit, kept)])


def _archive(repository: Path, commit: str, kept: Path) -> Path:
    found = kept / f"{commit}.tar"
    if not found.exists():
        require(repository, commit)
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept) as folder:  # two may make it at once
            made = Path(folder) / found.name
            run(["git", "-C", repository, "archive", "--format=tar", f"--output={made}", commit])
            made.rename(found)
    return found


def require(repository: Path, commit: str) -> None:
    """A shallow clone, and a folder without a repository, lack it."""
    try:
        run(["git", "-C", repository, "cat-file", "-e", f"{commit}^{{commit}}"])
    except LocalClusterError as error:
        raise LocalClusterError(
            f"commit {commit[:12]}, which a release was made from, is not in the history of {repository}",
            way_out="clone the repository with its whole history, or: git fetch --unshallow",
        ) from error
