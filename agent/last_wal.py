"""The last WAL of a PostgreSQL that does not run: into the archive, before a restore goes by what is there.

What a dead server had not archived yet still lies in its pg_wal, which the agent sees: the segments that wait, and the
one that was being written. That one is archived as `SEGMENT.partial`, as PostgreSQL itself does at the end of a
timeline: should the server come back, it archives the whole one under its own name.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from agent import foreign_file
from agent.pgbackrest import Runner
from pgwarden.pgbackrest import commands, wal

_WAL = re.compile(r"([0-9A-F]{24}(\.partial|\.[0-9A-F]{8}\.backup)?|[0-9A-F]{8}\.history)")
PUSH_SECONDS = 60.0
#: XLogLongPageHeaderData (access/xlog_internal.h): magic, info, timeline, position; remaining length and padding;
#: system identifier, segment size.
_HEADER = struct.Struct("<HHIQIxxxxQI")


@dataclass(frozen=True)
class Pushed:
    segment: str = ""  # the last one that is in the archive now, whole or partial; empty where there was none
    error: str = ""


async def push(runner: Runner, stanza: str, pg_wal: Path, conf: Path, work: Path, seconds: float) -> Pushed:
    """*conf* is the folder of the configuration, *work* a folder for a copy. pg_wal is only read."""
    deadline, last, newest = time.monotonic() + seconds, "", ""
    try:
        newest = newest_segment(pg_wal)
        waiting = [pg_wal / name for name in waits(pg_wal)]
        if newest and not is_settled(pg_wal, newest):
            waiting.append(_copied(pg_wal / newest, _copy_of(work, newest)))
        for file in waiting:
            left = min(PUSH_SECONDS, deadline - time.monotonic())
            if left <= 0:
                return Pushed(last, f"not all of its WAL could be archived within {seconds:g} s")
            result = await runner.run(commands.archive_push_argv(stanza, str(file), str(conf)), left)
            if not result.ok:
                return Pushed(last, result.error)
            last = file.name[:24] if wal.is_segment(file.name[:24]) else last
    except OSError as error:
        return Pushed(last, f"its WAL cannot be read: {error.strerror}")
    finally:
        if newest:
            _copy_of(work, newest).unlink(missing_ok=True)
    return Pushed(newest or last)


def waits(pg_wal: Path) -> list[str]:
    """What PostgreSQL wanted archived, oldest first, histories before their timelines."""
    with os.scandir(pg_wal / "archive_status") as entries:
        found = [entry.name.removesuffix(".ready") for entry in entries if entry.name.endswith(".ready")]
    return sorted(name for name in found if _WAL.fullmatch(name))


def newest_segment(pg_wal: Path) -> str:
    """The one that was written last. Files with later names may be old ones, kept for later use: their first page still
    has the position that it had.
    """
    names = sorted((name for name in (one.name for one in pg_wal.iterdir()) if wal.is_segment(name)), reverse=True)
    return next((name for name in names if _is_written(pg_wal / name)), "")


def written(pg_wal: Path) -> list[str]:
    """The segments that are not such old files, in the order of their names."""
    return sorted(one.name for one in pg_wal.iterdir() if wal.is_segment(one.name) and _is_written(one))


def _is_written(file: Path) -> bool:
    try:
        head = foreign_file.read(file, _HEADER.size)
    except foreign_file.NotAFileError:
        return False
    if len(head) < _HEADER.size:
        return False
    _, _, _, position, _, _, size = _HEADER.unpack(head)
    if not 2**20 <= size <= 2**30:
        return False
    return bool(position == wal.parse_segment(file.name, size).number * size)


def is_settled(pg_wal: Path, name: str) -> bool:
    """Whether it is full: then it waits, or is archived."""
    return any((pg_wal / "archive_status" / f"{name}{state}").exists() for state in (".ready", ".done"))


def _copy_of(work: Path, segment: str) -> Path:
    return work / f"{segment}.partial"


def _copied(file: Path, copy: Path) -> Path:
    """Under the name by which it is archived: beside PostgreSQL's own nothing is written."""
    shutil.copyfile(file, copy)
    return copy
