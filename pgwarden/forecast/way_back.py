"""The way back to before a Restore: the timeline that PostgreSQL was on then, and a backup set that leads there. Pure.

A Restore ends one timeline and begins another. Its undo follows the one that it ended, to that one's end: what was
committed by the time at which PostgreSQL was stopped is there. So it takes a set of that timeline, or of one that it
descends from, taken before the two parted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from pgwarden.api import names, outside
from pgwarden.api.kinds import RestoreSpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.api.records import Time
from pgwarden.api.target import timeline_of_segment
from pgwarden.pgbackrest.info import BackupSet, Info
from pgwarden.rules import restore_undo


@dataclass(frozen=True)
class Before:
    """Where PostgreSQL was when Restore `restore` stopped it. `stopped` is RFC 3339; empty is not known."""

    restore: str
    timeline: int
    stopped: str = ""
    lsn: str = ""
    kept_claim: str = ""


@dataclass(frozen=True)
class Fork:
    """How a timeline began: by a Restore from set `label`, while PostgreSQL was on timeline `before`."""

    label: str
    before: int


@dataclass(frozen=True)
class Way:
    before: Before
    set: BackupSet


def before(name: str, restore: Object | None, info: Info) -> Before | str | None:
    """By the Restore's status or, where its object is gone, by the set of its backup. Else why there is nothing to
    undo; None where nobody knows of such a Restore.
    """
    if restore is not None:
        why = restore_undo.nothing_to_undo(restore)
        if why:
            return f"Restore {name} {why}"
        return _by_status(name, restore) or _by_set(name, info) or f"Restore {name} does not tell its timeline"
    return _by_set(name, info)


def _by_status(name: str, restore: Object) -> Before | None:
    timeline = restore_undo.timeline_before(restore)
    if timeline < 1:
        return None
    stopped = get(restore, str, "status", "stoppedTime") or ""
    lsn = get(restore, str, "status", "lsnBefore") or ""
    return Before(name, timeline, stopped, lsn, get(restore, str, "status", "keptClaim") or "")


def _by_set(name: str, info: Info) -> Before | None:
    made = info.annotated(names.PGBACKREST_ANNOTATION_RESTORE, name)
    if made is None:
        return None
    told = made.annotations.get(names.PGBACKREST_ANNOTATION_TIMELINE_BEFORE, "")
    timeline = int(told) if told.isdecimal() and len(told) <= 10 else (timeline_of_segment(made.wal_start) or 1) - 1
    stopped = made.annotations.get(names.PGBACKREST_ANNOTATION_STOPPED, "")
    lsn = made.annotations.get(names.PGBACKREST_ANNOTATION_LSN_BEFORE, "")
    return Before(name, timeline, _time(stopped), lsn) if timeline > 0 else None


def by_backup(name: str, backups: Iterable[Object]) -> Before | None:
    """By what the Backup after the Restore carries, for those who cannot read the set's annotations. To tell only."""
    for one in backups:
        told = get(one, dict, "metadata", "annotations") or {}
        timeline = str(told.get(names.ANNOTATION_TIMELINE_BEFORE, ""))
        if get(one, str, "metadata", "labels", names.LABEL_RESTORE) == name and timeline.isdecimal():
            stopped, lsn = told.get(names.ANNOTATION_STOPPED), told.get(names.ANNOTATION_LSN_BEFORE)
            return Before(name, int(timeline[:10]), _time(str(stopped)), str(lsn or ""))
    return None


def _time(text: str) -> str:
    try:
        return msgspec.convert(text, Time)
    except outside.UNREADABLE:
        return ""


def forks(restores: Iterable[Object]) -> dict[int, Fork]:
    """By the timeline that began, as far as the Restores that are there tell."""
    found: dict[int, Fork] = {}
    for one in restores:
        began, label = get(one, int, "status", "timeline"), get(one, str, "status", "set")
        if began and label and get(one, str, "status", "phase") == "Completed":
            found[began] = Fork(label, restore_undo.timeline_before(one))
    return found


def find(before: Before, forks: Mapping[int, Fork], info: Info, repos: Sequence[int]) -> Way | None:
    """The newest usable set of the first of *repos* that has one on the way to the end of that timeline."""
    for repo in repos:
        current = info.current(repo)
        usable = [
            one
            for one in reversed(info.backups)
            if one.repo == repo and not one.error and (current is None or one.database_id == current.id)
        ]
        found = next(_on_the_way(before.timeline, forks, usable), None)
        if found is not None:
            return Way(before, found)
    return None


def _on_the_way(timeline: int, forks: Mapping[int, Fork], newest_first: Sequence[BackupSet]) -> Iterator[BackupSet]:
    """The sets of *timeline*, then those of the one that it forked from, up to the fork, and so on.

    Where nobody tells how a timeline began, it was by a failover, or by a Restore that is gone: then it is taken to go
    on from the one before. Should that be wrong, pgBackRest refuses the set before it copies anything.
    """
    limit = ""  # label of the last set that is before the fork
    labels = {one.label: one for one in newest_first}
    while timeline > 0:
        for one in newest_first:
            if timeline_of_segment(one.wal_stop) == timeline and (not limit or _began(one.label) <= _began(limit)):
                yield one
        fork = forks.get(timeline)
        if fork is None:
            timeline -= 1
            continue
        limit = min(filter(None, (limit, fork.label)), key=_began)
        begun = labels.get(fork.label)
        parent = (timeline_of_segment(begun.wal_stop) if begun else None) or fork.before
        timeline = min(parent, timeline - 1)


def _began(label: str) -> str:
    """When a set was begun, by its label: 20261123-010000F_20261124-010000I → 20261124-010000."""
    return label.rpartition("_")[2][:15]


def effective(spec: RestoreSpec, label: str, timeline: int) -> RestoreSpec:
    """*spec* of an undo as a Restore from that set to the end of that timeline."""
    return msgspec.structs.replace(spec, set=label, target_timeline=str(timeline))
