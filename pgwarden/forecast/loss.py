"""What a Restore in place takes away, in words. Pure.

Only what the objects prove is said: who reads it must be able to believe every line.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pgwarden.api.kinds import RestoreSpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import condition, get, moment
from pgwarden.api.target import TargetError, parse_time, timeline_number, timeline_of_segment
from pgwarden.api.wording import clock, count, span
from pgwarden.forecast.way_back import Before
from pgwarden.pgbackrest.info import BackupSet, Info


@dataclass(frozen=True)
class Loss:
    """`since`: what was committed after it is lost; None where no one moment is known."""

    text: str
    since: datetime | None = None


def of(
    spec: RestoreSpec, begun: BackupSet | None, info: Info, repository: Object | None, now: datetime,
    before: Before | None = None,
) -> Loss:  # fmt: skip
    """*before* is where the Restore that is undone has stopped PostgreSQL."""
    if spec.volume_claim:
        return Loss(f"nothing: claim {spec.volume_claim} is filled, and nothing else is changed")
    if before is not None:
        return _undone(before, now)
    if spec.target is not None:
        return _of_target(spec, begun, now)
    return Loss(_left_behind(spec, begun, info) or _not_archived(repository))


def _undone(before: Before, now: datetime) -> Loss:
    since = moment(before.stopped)
    at = f" at {clock(since)} ({span(now - since)} ago)" if since else ""
    return Loss(
        f"EVERYTHING committed since Restore {before.restore} stopped PostgreSQL{at}, by whomever; "
        "what that Restore took away comes back",
        since,
    )


def _of_target(spec: RestoreSpec, begun: BackupSet | None, now: datetime) -> Loss:
    time = time_of(spec)
    if time is not None:
        return Loss(f"every transaction committed after {clock(time)}, that is in the last {span(now - time)}", time)
    if spec.target and spec.target.immediate:
        if begun is None:
            return Loss("every transaction committed after the end of the backup")
        text = f"every transaction committed after the end of the backup at {clock(begun.stop)}"
        return Loss(f"{text}, that is in the last {span(now - begun.stop)}", begun.stop)
    return Loss(f"every transaction committed after {point(spec)}")


def time_of(spec: RestoreSpec) -> datetime | None:
    try:
        return parse_time(spec.target.time) if spec.target and spec.target.time is not None else None
    except TargetError:
        return None


def point(spec: RestoreSpec, before: Before | None = None) -> str:
    """Where a Restore goes to."""
    if before is not None:
        since = moment(before.stopped)
        at = f" at {clock(since)}" if since else ""
        return f"just before Restore {before.restore} stopped it{at}"
    target = spec.target
    if target is None:
        timeline = spec.target_timeline or "latest"
        return "the latest WAL" if timeline == "latest" else f"the end of {_which(timeline)}"
    if target.time is not None:
        return clock(time_of(spec)) or target.time
    titles = (("WAL position", target.lsn), ("transaction", target.xid), ("restore point", target.name))
    return next((f"{title} {value}" for title, value in titles if value), "the end of the backup itself")


def _which(timeline: str) -> str:
    return "the backup's own timeline" if timeline == "current" else f"timeline {timeline}"


def _left_behind(spec: RestoreSpec, begun: BackupSet | None, info: Info) -> str:
    """What the end of an earlier timeline leaves behind; empty where recovery follows the latest one."""
    wanted = spec.target_timeline or "latest"
    if wanted == "latest":
        return ""
    followed = timeline_number(wanted)
    if wanted == "current":
        followed = timeline_of_segment(begun.wal_stop) if begun else None
    latest = max(filter(None, (timeline_of_segment(one.max) for one in info.archives)), default=None)
    if followed is not None and followed == latest:
        return ""
    ended = f"timeline {followed}" if followed is not None else "the backup's own timeline"
    now = f" (PostgreSQL is on timeline {latest})" if latest is not None else ""
    return f"every transaction committed since {ended} ended, at a restore or failover{now}"


def _not_archived(repository: Object | None) -> str:
    waiting = get(repository, int, "status", "unarchivedWAL")
    queue = f"; {count(waiting, 'WAL segment')} not archived yet" if waiting else ""
    archiving = "" if condition(repository, "Archiving") == "True" else "; ARCHIVING IS NOT WORKING"
    return f"only transactions that cannot be archived before PostgreSQL stops{queue}{archiving}"
