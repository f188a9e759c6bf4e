"""The volume that a restore Job fills: what may be overwritten, and whose it is.

A marker in the volume's root, written before the first file, says which Restore fills this volume. Without it nothing
is ever deleted or overwritten: the volume may be somebody's cluster.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

MARKER = ".pgwarden-restore"
MANIFEST, PG_VERSION = "backup.manifest", "PG_VERSION"
RECOVERY_SIGNAL, STANDBY_SIGNAL = "recovery.signal", "standby.signal"
_NOT_FILES = {"lost+found", MARKER}
#: A pod that is deleted has its grace period (30 s by default) to end in, and its successor may start before that.
LOCK_SECONDS = 150.0
_BUSY = frozenset({errno.EWOULDBLOCK, errno.EACCES})


class VolumeError(Exception):
    """The volume is not for us to write to. The message says why and the way out."""


class VolumeBusy(VolumeError):
    """Somebody else writes to it now."""


@asynccontextmanager
async def alone(root: Path, seconds: float = LOCK_SECONDS) -> AsyncIterator[None]:
    """Nobody else restores into the volume at *root* meanwhile. VolumeBusy where somebody does for *seconds*.

    Kubernetes makes the next pod of a Job while one that was deleted still ends. Two pgBackRest at once would cut off
    what the other has just written, and neither would notice. A file system that knows no locks is used without.
    """
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + seconds
        while not _locked(folder):
            if time.monotonic() > deadline:
                raise VolumeBusy(
                    f"another pod has been writing to the volume at {root} for {seconds:g} s; delete that pod"
                )
            await asyncio.sleep(0.2)
        yield
    finally:
        os.close(folder)


def _locked(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _BUSY
    return True


def room(path: Path) -> int:
    """Bytes that PostgreSQL's user can still write to the volume at *path*."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


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


def follows(pg_data: Path) -> bool:
    """Whether PostgreSQL on *pg_data* recovers or is a standby, or will when it starts."""
    return any((pg_data / name).exists() for name in (STANDBY_SIGNAL, RECOVERY_SIGNAL))


def make_folders(folders: Iterable[Path], root: Path) -> None:
    """Folders of tablespaces on the volume: PostgreSQL that replays CREATE TABLESPACE does not make them itself."""
    for folder in folders:
        if root in folder.parents and not folder.exists():
            folder.mkdir(mode=0o700, parents=True)


def sign(pg_data: Path, args: Iterable[str], uid: str) -> None:
    """Write into recovery.signal the storage that was restored from, for pgbackrest-archive, and which Restore did it.

    PostgreSQL does not read that file, and removes it at the end of recovery. By the second line a pod that takes the
    place of one that was killed right after its work finds the volume to be its Restore's.
    """
    chosen = next((one for one in args if one.startswith("--repo=")), "")
    if (pg_data / RECOVERY_SIGNAL).exists():
        (pg_data / RECOVERY_SIGNAL).write_text(f"{chosen}\n{uid}\n")


def _signed(pg_data: Path) -> str:
    """The uid of the Restore that has filled *pg_data* to its end; empty where none says so."""
    try:
        lines = (pg_data / RECOVERY_SIGNAL).read_text().splitlines()
    except (OSError, ValueError):
        return ""
    return lines[1] if len(lines) == 2 else ""


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
        if MANIFEST not in present and not (uid and _signed(pg_data) == uid):
            raise VolumeError(f"{pg_data} contains files, but no restore is in progress there; choose an empty volume")
        return
    try:
        found = (root / MARKER).read_text().strip()
    except FileNotFoundError:
        raise VolumeError(
            f"{pg_data} contains files that pgwarden did not write ({root}/{MARKER} is missing); choose an empty volume"
        ) from None
    if found != uid:
        raise VolumeError(f"{pg_data} was filled by another Restore (uid {found}); choose an empty volume")


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
        raise VolumeError(f"{path} is not an empty volume: it contains {', '.join(strangers[:5])}")
    os.chown(path, uid, gid)
    return f"{path} now belongs to {uid}:{gid}"
