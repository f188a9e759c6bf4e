"""The volume that a restore Job fills: what may be overwritten, and whose it is.

A marker in the volume's root, written before the first file, says which Restore fills this volume. Without it nothing
is ever deleted or overwritten: the volume may be somebody's cluster.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MARKER = ".pgwarden-restore"
MANIFEST, PG_VERSION = "backup.manifest", "PG_VERSION"
_NOT_FILES = {"lost+found", MARKER}


class VolumeError(Exception):
    """The volume is not for us to write to. The message says why and the way out."""


def prepare(pg_data: Path, root: Path, uid: str) -> list[str]:
    """Make *pg_data* ready for the Restore *uid*; further options for pgBackRest. VolumeError: nothing was touched."""
    if pg_data != root and root not in pg_data.parents:
        raise VolumeError(f"{pg_data} is not on the volume at {root}")
    present = {entry.name for entry in pg_data.iterdir()} - _NOT_FILES if pg_data.is_dir() else set()
    if not present:
        _claim(pg_data, root, uid)
        return []
    _check_ours(pg_data, root, uid, present)
    if MANIFEST in present or PG_VERSION in present:
        return ["--delta"]  # pgBackRest accepts that only where one of the two stands
    for name in present:
        _remove(pg_data / name)
    return []


def _claim(pg_data: Path, root: Path, uid: str) -> None:
    pg_data.mkdir(parents=True, exist_ok=True)
    pg_data.chmod(0o700)
    if pg_data == root:
        # A marker of ours would be a file too many for pgBackRest, and would go into the next backup. The name of its
        # own file for unfinished restores, which it passes over and replaces, serves as well.
        (root / MANIFEST).write_text(uid)
    else:
        (root / MARKER).write_text(uid)


def _check_ours(pg_data: Path, root: Path, uid: str, present: set[str]) -> None:
    if pg_data == root:
        if MANIFEST not in present:
            raise VolumeError(f"{pg_data} holds files and no restore is under way there: choose an empty volume")
        return
    try:
        found = (root / MARKER).read_text().strip()
    except FileNotFoundError:
        raise VolumeError(
            f"{pg_data} holds files that pgwarden did not write ({root}/{MARKER} is not there): choose an empty volume"
        ) from None
    if found != uid:
        raise VolumeError(f"{pg_data} was filled by another Restore (uid {found}): choose an empty volume")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def own(path: Path, uid: int, gid: int) -> str:
    """Give the root of a fresh volume to *uid* and *gid*: for a root container with CAP_CHOWN alone. What was done."""
    now = path.stat()
    if (now.st_uid, now.st_gid) == (uid, gid):
        return f"{path} belongs to {uid}:{gid} already"  # before a look inside, which 0700 of another uid would refuse
    strangers = sorted({entry.name for entry in path.iterdir()} - _NOT_FILES)
    if strangers:
        raise VolumeError(f"{path} is not a fresh volume: it holds {', '.join(strangers[:5])}")
    os.chown(path, uid, gid)
    return f"{path} now belongs to {uid}:{gid}"
