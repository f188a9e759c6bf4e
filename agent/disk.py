"""How full file systems are: the repository's volume, the data directory's, and that of pg_wal where it has its own."""

from __future__ import annotations

import os
from pathlib import Path

from pgwarden.contract.status import Usage


def usage(path: str | Path) -> Usage | None:
    """Of the file system at *path*; None where that cannot be asked, or it does not say its size."""
    try:
        seen = os.statvfs(path)
    except OSError:
        return None
    return of(seen) if seen.f_blocks else None


def of(seen: os.statvfs_result) -> Usage:
    """What the superuser alone may still use is not free."""
    unit = seen.f_frsize
    return Usage(size=seen.f_blocks * unit, used=(seen.f_blocks - seen.f_bfree) * unit, free=seen.f_bavail * unit)


def of_server(data_directory: str) -> tuple[Usage | None, Usage | None]:
    """Of the data directory, and of pg_wal where that is on another file system that is seen from here."""
    data, wal = Path(data_directory), Path(data_directory, "pg_wal")
    try:
        own = wal.stat().st_dev != data.stat().st_dev
    except OSError:
        own = False
    return usage(data), usage(wal) if own else None
