"""Names of the Backups that pgwarden itself asks for, again until one is complete: all but the first have a number."""

from __future__ import annotations

from datetime import datetime

from pgwarden.api import names


def first_backup(cluster: str, attempt: int = 1) -> str:
    return f"{cluster}-first" if attempt == 1 else f"{cluster}-first-{attempt}"


def first_backup_attempt(cluster: str, backup: str) -> int:
    """Which attempt at a first backup has that name; 0 where it is none."""
    if backup == first_backup(cluster):
        return 1
    prefix, number = f"{cluster}-first-", backup.removeprefix(f"{cluster}-first-")
    told = backup.startswith(prefix) and number.isascii() and number.isdecimal() and len(number) < 10
    return int(number) if told and number[0] != "0" else 0


def renewal_backup(repository: str, storage: str, since: datetime, attempt: int = 1) -> str:
    """A full backup that pgwarden itself asks for, as one is owed in *storage* since then (UTC seconds)."""
    base = f"{names.short(repository, 28)}-renewal-{storage}-{since:%Y%m%d%H%M%S}"
    return base if attempt == 1 else f"{base}-{attempt}"


def renewal_attempt(repository: str, storage: str, since: datetime, backup: str) -> int:
    """Which attempt at it has that name; 0 where it is none."""
    return _attempt(renewal_backup(repository, storage, since), backup)


def gap_backup(repository: str, segment: str, attempt: int = 1) -> str:
    """That begins a new recovery window after *segment*, the first that is missing."""
    name = f"{repository}-after-{segment.lower()}"
    return name if attempt == 1 else f"{name}-{attempt}"


def gap_backup_attempt(repository: str, segment: str, backup: str) -> int:
    """Which attempt at that has the name; 0 where it is none."""
    return _attempt(gap_backup(repository, segment), backup)


def _attempt(first: str, backup: str) -> int:
    """1 of the name *first*, N of `first-N`; 0 of any other."""
    if backup == first:
        return 1
    number = backup.removeprefix(f"{first}-") if backup.startswith(f"{first}-") else ""
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 10 and number[0] != "0" else 0
