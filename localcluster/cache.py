"""A self-healing cache of built tools.

An entry is one folder `tools/NAME-VERSION` with a `stamp.json` naming every
file's checksum. It is built in a temporary folder beside it and renamed, so a
killed build leaves a temporary folder and never half an entry; whoever holds
the entry's lock next removes such leftovers. A missing or changed file, an
unreadable stamp or a binary that does not answer makes the entry broken, and
a broken entry is built again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localcluster.console import say, step
from localcluster.errors import LocalClusterError

STAMP = "stamp.json"


def cache_root() -> Path:
    configured = os.environ.get("PGWARDEN_CACHE")
    return Path(configured) if configured else Path.home() / ".cache" / "pgwarden"


def _no_probe(_folder: Path) -> None:
    """For files that are no programs."""


@dataclass(frozen=True)
class Artifact:
    """One cache entry: how to build it and how to see that it works."""

    name: str
    version: str
    files: tuple[str, ...]
    build: Callable[[Path], None]
    #: Raises when a file is unusable; runs once after a build and on every full check.
    probe: Callable[[Path], None] = _no_probe

    @property
    def key(self) -> str:
        return f"{self.name}-{self.version}"


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Cache:
    """Entries below one root folder."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_root()
        self.tools = self.root / "tools"

    def folder(self, artifact: Artifact) -> Path:
        return self.tools / artifact.key

    def path(self, artifact: Artifact, file: str) -> Path:
        return self.folder(artifact) / file

    def fault(self, artifact: Artifact, *, full: bool) -> str | None:
        """Why the entry cannot be used, or None.

        Hashing all tools takes seconds, so without `full` a file whose size and
        modification time equal the stamp's is taken as unchanged; any other
        file is hashed. `full` hashes every file and runs the probe.
        """
        folder = self.folder(artifact)
        if not folder.is_dir():
            return "not built yet"
        try:
            stamp = json.loads((folder / STAMP).read_text())
            recorded = stamp["files"]
            if stamp["version"] != artifact.version or not set(artifact.files) <= set(recorded):
                return "the stamp is another version's"
            for file in artifact.files:
                reason = _file_fault(folder / file, recorded[file], full=full)
                if reason:
                    return reason
        except (OSError, ValueError, KeyError, TypeError) as error:
            return f"the stamp cannot be read ({error})"
        return _probe_fault(artifact, folder) if full else None

    def ensure(self, artifact: Artifact, *, full: bool = False) -> Path:
        """The entry's folder, built or rebuilt when need be."""
        if not full and self.fault(artifact, full=False) is None:
            return self.folder(artifact)
        with self._locked(artifact):
            fault = self.fault(artifact, full=full)
            if fault is None:
                self._sweep(artifact)
                return self.folder(artifact)
            if self.folder(artifact).exists():
                say(f"{artifact.key}: broken in the cache ({fault}); building it again")
            self._rebuild(artifact)
        return self.folder(artifact)

    def _rebuild(self, artifact: Artifact) -> None:
        self._sweep(artifact)
        temporary = self.tools / f".{artifact.key}.tmp"
        temporary.mkdir(parents=True)
        try:
            with step(f"building {artifact.key}"):
                artifact.build(temporary)
            _require_files(artifact, temporary)
            artifact.probe(temporary)
            (temporary / STAMP).write_text(json.dumps(_stamp(artifact, temporary), indent=1))
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        old = self.tools / f".{artifact.key}.old"
        if self.folder(artifact).exists():
            self.folder(artifact).rename(old)
        temporary.rename(self.folder(artifact))
        shutil.rmtree(old, ignore_errors=True)

    def _sweep(self, artifact: Artifact) -> None:
        """Remove what a killed build left; only called with the entry's lock held."""
        for suffix in ("tmp", "old"):
            leftover = self.tools / f".{artifact.key}.{suffix}"
            if leftover.exists():
                say(f"{artifact.key}: removing the leftover of an interrupted build")
                shutil.rmtree(leftover)

    @contextmanager
    def _locked(self, artifact: Artifact) -> Iterator[None]:
        """Exclusive lock: two sessions must not build the same tool at once."""
        self.tools.mkdir(parents=True, exist_ok=True)
        with (self.tools / f".{artifact.key}.lock").open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"{artifact.key}: another process is building it; waiting")
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def _require_files(artifact: Artifact, folder: Path) -> None:
    for file in artifact.files:
        if not (folder / file).is_file():
            raise LocalClusterError(f"{artifact.key}: the build left no {file}")


def _stamp(artifact: Artifact, folder: Path) -> dict[str, object]:
    files = {}
    for file in artifact.files:
        stat = (folder / file).stat()
        files[file] = {
            "sha256": sha256(folder / file),
            "size": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
        }
    return {"name": artifact.name, "version": artifact.version, "files": files}


def _file_fault(path: Path, recorded: dict[str, object], *, full: bool) -> str | None:
    if not path.is_file():
        return f"{path.name} is missing"
    stat = path.stat()
    same = (stat.st_size, stat.st_mtime_ns) == (recorded["size"], recorded["mtime_ns"])
    if same and not full:
        return None
    if sha256(path) != recorded["sha256"]:
        return f"{path.name} has another checksum than when it was built"
    return None


def _probe_fault(artifact: Artifact, folder: Path) -> str | None:
    try:
        artifact.probe(folder)
    except Exception as error:  # noqa: BLE001 - any failure to answer means: rebuild
        return f"it does not answer: {error}"
    return None
