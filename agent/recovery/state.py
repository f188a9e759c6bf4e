"""How far a recovery is, in a file in the data directory, where the next agent finds it: in this pod or in another one.

It stands from the end of the copy to the end of the recovery, and holds what postgresql.auto.conf was.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from pgwarden.api import outside
from pgwarden.contract.job_result import JobResult

FILE = "pgwarden-recovery.json"
AUTO_CONF = "postgresql.auto.conf"
MOST = 4 * 1024 * 1024


class State(msgspec.Struct, frozen=True, kw_only=True):
    uid: str  # of what is recovered
    auto_conf: str  # the file as pgBackRest left it
    set: str = ""  # label of the backup set
    copy_seconds: float = 0.0
    copied: float = 0.0  # when the copy was done, in seconds since the epoch
    least: dict[str, int] = {}  # parameters that WAL has asked for
    preload: bool = False  # the libraries are needed
    to_end: bool = False  # the target lies behind the end of the WAL: recover to that
    tries: int = 0  # starts of the server that ended badly, one after the other
    reached: str = ""  # RFC 3339: the last commit that one of those has replayed
    prepared: int = 0  # max_prepared_transactions, if some are prepared: a server with less of it does not start
    result: JobResult | None = None  # it is done, and what is left is to say so


def read(pg_data: Path, uid: str) -> State | None:
    """None where there is none of *uid*."""
    try:
        found = outside.decode((pg_data / FILE).read_bytes(), State, most=MOST)
    except OSError:
        return None
    return found if found is not None and found.uid == uid else None


def write(pg_data: Path, state: State) -> None:
    replace(pg_data / FILE, msgspec.json.encode(state))


def remove(pg_data: Path) -> None:
    (pg_data / FILE).unlink(missing_ok=True)
    _sync(pg_data)


def replace(path: Path, content: bytes) -> None:
    """The file, whole or as before, also where the node dies meanwhile."""
    beside = path.with_name(f"{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    beside.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
