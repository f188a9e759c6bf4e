"""How much WAL lies between a backup set and a target, by what `info` tells. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pgwarden.api.kinds import RestoreSpec
from pgwarden.api.target import TargetError, parse_lsn, parse_time
from pgwarden.pgbackrest import wal
from pgwarden.pgbackrest.info import BackupSet, Info

_SIZES = [wal.SEGMENT_SIZE, *(2**power for power in range(20, 31) if power != 24)]  # wal_segment_size: 1 MiB to 1 GiB
_LOG = 2**32  # bytes of WAL that share the middle eight digits of their segments' names
_WAITING = 2**40  # more WAL than waits in any pg_wal to be archived
Is = Literal["exactly", "about", "atMost"]


@dataclass(frozen=True)
class Distance:
    segments: int
    bytes: int
    is_: Is


def of(spec: RestoreSpec, begun: BackupSet, info: Info, *, archived: datetime, ended: str = "") -> Distance | None:
    """The segments to replay from *begun* to the target of *spec*; None where `info` does not tell.

    *archived* is the time up to which the archive goes; *ended* the position at which the timeline that is followed
    ended, where it did.
    """
    segment = _segment_size(info.backups)
    first, last = _lsn(begun.lsn_start), _last(info, begun.repo, segment)
    target = spec.target
    if first is None:
        return None
    if target and target.immediate:
        return _distance(first, _lsn(begun.lsn_stop), segment, "exactly")
    if target and target.lsn:
        wanted = _lsn(target.lsn)
        if wanted is not None and last is not None and wanted > last + _WAITING:  # it was never written
            return _distance(first, last, segment, "about")
        return _distance(first, wanted, segment, "exactly")
    if target and target.time:
        return _distance(first, _at(target.time, begun, info, archived, last), segment, "about")
    if target:  # a transaction or a restore point, which may be anywhere
        return _distance(first, last, segment, "atMost")
    return _distance(first, _lsn(ended) or last, segment, "about")


def _distance(first: int, last: int | None, segment: int, is_: Is) -> Distance | None:
    if last is None:
        return None
    count = max(0, last // segment - first // segment) + 1
    return Distance(count, count * segment, is_)


def _at(time: str, begun: BackupSet, info: Info, archived: datetime, last: int | None) -> int | None:
    """The position at *time*: between two that are known, as if WAL had been written evenly."""
    try:
        moment = parse_time(time)
    except TargetError:
        return None
    points = [(one.stop, lsn) for one in info.backups if one.repo == begun.repo and (lsn := _lsn(one.lsn_stop))]
    points += [(archived, last)] if last is not None else []
    after = min((point for point in points if point[0] >= moment), default=None)
    before = max((point for point in points if point[0] < moment), default=None)
    if before is None or after is None:
        found = before or after
        return found[1] if found else None
    part = (moment - before[0]).total_seconds() / max(1.0, (after[0] - before[0]).total_seconds())
    return max(before[1], before[1] + int(part * (after[1] - before[1])))


def _last(info: Info, repo: int, segment: int) -> int | None:
    """The position at the end of the newest segment in the archive."""
    archive = info.archive(repo)
    name = archive.max if archive else ""
    if len(name) != 24:
        return None
    return int(name[8:16], 16) * _LOG + int(name[16:], 16) * segment + segment - 1


def _segment_size(sets: Iterable[BackupSet]) -> int:
    """By a set of which both the name of a segment and a position in it are known."""
    for one in sets:
        lsn, name = _lsn(one.lsn_stop), one.wal_stop
        if lsn is None or len(name) != 24 or not int(name[16:], 16):
            continue
        number, within = int(name[16:], 16), lsn % _LOG
        return next((size for size in _SIZES if within // size == number), wal.SEGMENT_SIZE)
    return wal.SEGMENT_SIZE


def _lsn(text: str) -> int | None:
    try:
        return parse_lsn(text)
    except TargetError:
        return None
