"""The volume that the local storage is on, as the repository host sees it: mounted, writable, how full, and whether
both halves of the stanza are there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from datetime import datetime
from pathlib import Path

from agent import disk
from agent.paths import Paths
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.contract.calls import Outcome
from pgwarden.contract.status import Half, Volume
from pgwarden.pgbackrest import config

#: pgBackRest's code for "other": the storage could not be read.
TROUBLE = 99
NOT_MOUNTED = "the volume is not mounted in this pod"
#: Written and removed again by each look: what a quota or a file system without inodes refuses is seen by that alone.
_PROBE_BYTES = 4096
HALVES = ("archive", "backup")
#: Beside them. pgBackRest looks into those two alone.
SET_ASIDE = "set-aside"


class RepoVolume:
    def __init__(self, paths: Paths, stanza: str) -> None:
        self._paths = paths
        self._stanza = stanza

    def look(self) -> Volume | None:
        """None where no storage is on a volume. It may take as long as the file system does."""
        if not self._numbers():
            return None
        root = self._paths.repo
        try:
            seen = os.statvfs(root)
        except OSError as error:
            return Volume(mounted=False, error=_words(error))
        usage = disk.of(seen)
        return Volume(
            mounted=True,
            size=usage.size,
            used=usage.used,
            free=usage.free,
            read_only=bool(seen.f_flag & os.ST_RDONLY),
            error=_probe(root),
            archive=self._half("archive"),
            backup=self._half("backup"),
        )

    def set_aside(self, now: datetime) -> Outcome:
        """Move what is left of half a stanza to a folder of its own on the same volume. A whole one stays."""
        archive, backup = (self._half(name) for name in HALVES)
        if (archive.info or archive.copy) and (backup.info or backup.copy):
            return Outcome(error="both halves of the stanza are there")
        folder = self._paths.repo / SET_ASIDE / f"{now:%Y%m%d-%H%M%S}"
        try:
            for name in HALVES:
                left = self._paths.repo / name / self._stanza
                if left.is_dir():
                    target = folder / name
                    target.mkdir(mode=0o750, parents=True, exist_ok=True)
                    left.rename(target / self._stanza)
        except OSError as error:
            return Outcome(error=_words(error))
        return Outcome(ok=True, output=str(folder.relative_to(self._paths.repo)))

    def complete(self, info: Object | None) -> None:
        """Say in *info* that the storage cannot be read where the volume is not there: pgBackRest takes a folder that
        does not exist for an empty storage.
        """
        if self._paths.repo.is_dir():
            return
        numbers = self._numbers()
        for repo in (info or {}).get("repo") or []:
            if isinstance(repo, dict) and repo.get("key") in numbers:
                repo["status"] = {"code": TROUBLE, "message": NOT_MOUNTED}

    def _numbers(self) -> set[int]:
        with contextlib.suppress(OSError):
            text = self._paths.conf_file.read_text("utf-8")
            numbers = config.repos(text)
            return {number for number in numbers if config.lines_of(text, number).get("path") == names.REPO_DIR}
        return set()

    def _half(self, name: str) -> Half:
        """`archive` or `backup` of the stanza. An OSError is as nothing there: `error` and `info` tell of it."""
        folder = self._paths.repo / name / self._stanza
        info = folder / f"{name}.info"
        with contextlib.suppress(OSError):
            return Half(
                info=info.is_file(),
                copy=info.with_name(f"{name}.info.copy").is_file(),
                # Also what a stanza-create without room has left: archive.info.pgbackrest.tmp keeps the next one away.
                holds=folder.is_dir()
                and any(one.name not in {info.name, f"{info.name}.copy"} for one in folder.iterdir()),
            )
        return Half()


def _probe(root: Path) -> str | None:
    try:
        with tempfile.NamedTemporaryFile(prefix=".pgwarden-", dir=root) as file:
            file.write(b"\0" * _PROBE_BYTES)
            file.flush()
    except OSError as error:
        return _words(error)
    return None


def _words(error: OSError) -> str:
    """`ENOSPC: No space left on device`."""
    name = errno.errorcode.get(error.errno or 0, "")
    return f"{name}: {error.strerror}" if name else str(error)
