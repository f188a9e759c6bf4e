"""WAL that is missing in a storage: what can be recovered, what is said of it, and the backup that mends it. Pure.

Recovery ends before a gap. So the window of the backups before it ends there, and the next backup begins a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from controller import operations
from controller.repository import storages
from controller.repository.facts import RepositoryFacts
from controller.runtime import conditions
from controller.runtime.backoff import Pace
from pgwarden.api import names, numbered_backups, outside
from pgwarden.api.objects import Object
from pgwarden.api.reading import objects
from pgwarden.api.target import parse_time
from pgwarden.contract.archive import Gap
from pgwarden.pgbackrest.info import Info, usable

FIELD = "gaps"  # of an entry of status.storages
#: After a backup that was asked for and failed, until the next is.
PACE = Pace(timedelta(minutes=2), timedelta(hours=1))
#: Failed ones that are kept; older ones are deleted, at most so many at a time.
KEPT_FAILED, DELETED_AT_ONCE = 3, 20


@dataclass(frozen=True)
class Window:
    """What backups of one storage can recover to: from the end of the oldest of them on, to the gap where one is."""

    earliest: datetime
    gap: Gap | None


def known(facts: RepositoryFacts, storage: str) -> tuple[Gap, ...]:
    """Of *storage*, oldest first: as the host says now, or as it was known last."""
    number = facts.spec.repo_number(storage)
    told = next((one for one in facts.archives if one.repo == number), None)
    if told is None or not told.complete:
        return _kept(facts, storage)
    return tuple(gap for gap in told.gaps if not _is_to_come(facts, gap))


def _kept(facts: RepositoryFacts, storage: str) -> tuple[Gap, ...]:
    entries = objects(facts.repository, "status", "storages")
    found = next((one.get(FIELD) for one in entries if one.get("name") == storage), None)
    try:
        return msgspec.convert(found or (), tuple[Gap, ...])
    except outside.UNREADABLE:
        return ()


def _is_to_come(facts: RepositoryFacts, gap: Gap) -> bool:
    """Whether PostgreSQL still has it in pg_wal: of what is pushed at once, a later segment may arrive first."""
    last = (facts.primary.archiver.last_archived_wal if facts.primary else None) or ""
    return last[:8] == gap.missing[:8] and last[:24] < gap.missing


def entry(facts: RepositoryFacts, storage: str) -> list[Object]:
    """For the status."""
    listed: list[Object] = msgspec.to_builtins(known(facts, storage))
    return listed


def windows(info: Info, repo: int, gaps: Sequence[Gap]) -> list[Window]:
    """Of storage number *repo*, the newest first: one for each stretch of WAL without a gap that has a backup."""
    found: dict[str, Window] = {}
    for backup in info.backups:
        if backup.repo != repo or not usable(info, backup):
            continue
        gap = _first(gaps, backup.wal_start)
        if gap is None or gap.missing[8:] > backup.wal_stop[8:]:  # else it is never consistent
            found.setdefault(gap.missing if gap else "", Window(backup.stop, gap))
    return sorted(found.values(), key=lambda window: window.earliest, reverse=True)


def _first(gaps: Sequence[Gap], segment: str) -> Gap | None:
    """The first at or after *segment*. What follows the timeline is the place in all WAL."""
    return next((gap for gap in gaps if gap.missing[8:] >= segment[8:]), None)


def unmended(facts: RepositoryFacts) -> list[tuple[str, Gap]]:
    """Gaps that no backup of their storage follows, with the storage: what is written now cannot be recovered there."""
    found = []
    for storage in storages.read(facts):
        sets = [one for one in facts.info.backups if one.repo == storage.number] if facts.info else []
        last = max((one.wal_start[8:] for one in sets if facts.info and usable(facts.info, one)), default="")
        after = [gap for gap in known(facts, storage.name) if gap.missing[8:] >= last]
        if after and last:
            found.append((storage.name, after[-1]))
    return found


def sentence(storage: str, gap: Gap) -> str:
    more = f" and {gap.segments - 1} more" if gap.segments > 1 else ""
    return (
        f"WAL segment {gap.missing}{more} is missing in storage {storage}: recovery from the backups before it ends at "
        f"{gap.until}"
    )


# --- the backup that begins a new window -------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    name: str
    storage: str
    why: str
    expendable: tuple[tuple[str, str], ...] = ()  # name and uid of failed ones before it, which go


def backup(facts: RepositoryFacts, backups: Sequence[Object]) -> Wanted | None:
    """The Backup to ask for now. *backups* are those of the Repository."""
    for storage, gap in unmended(facts):
        view = next(one for one in storages.read(facts) if one.name == storage)
        if facts.primary is None or not storages.ready(facts, view):
            continue
        if any(not operations.is_over(one) and _goes_to(facts, one, storage) for one in backups):
            continue
        attempts = _attempts(facts, gap, backups)
        if attempts and not _is_due(attempts, facts.now):
            continue
        name = numbered_backups.gap_backup(facts.key[1], gap.missing, max(attempts, default=0) + 1)
        return Wanted(name, storage, sentence(storage, gap), _expendable(attempts))
    return None


def body(facts: RepositoryFacts, wanted: Wanted) -> Object:
    """An incremental one is enough: it needs no WAL from before its own start. Without a full one it is a full one."""
    metadata = facts.repository["metadata"]
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Backup",
        "metadata": {
            "name": wanted.name,
            "namespace": metadata["namespace"],
            "labels": {names.MANAGED_BY: "pgwarden"},
            "annotations": {names.ANNOTATION_RUN_AGAIN: metadata["uid"]},
        },
        "spec": {"repository": metadata["name"], "type": "incr", "storage": wanted.storage},
    }


def _goes_to(facts: RepositoryFacts, backup: Object, storage: str) -> bool:
    return (backup.get("spec") or {}).get("storage") in {storage, *([None, ""] if _is_first(facts, storage) else [])}


def _is_first(facts: RepositoryFacts, storage: str) -> bool:
    return facts.spec.storages[0] == storage


def _attempts(facts: RepositoryFacts, gap: Gap, backups: Iterable[Object]) -> dict[int, Object]:
    """By their number: that of the newest is how often it was tried."""
    numbered = {
        numbered_backups.gap_backup_attempt(facts.key[1], gap.missing, str(one["metadata"]["name"])): one
        for one in backups
    }
    return {number: one for number, one in numbered.items() if number}


def _expendable(attempts: Mapping[int, Object]) -> tuple[tuple[str, str], ...]:
    """Of the failed ones all but the newest, the next one being made."""
    failed = [attempts[number] for number in sorted(attempts) if operations.phase(attempts[number]) == "Failed"]
    old = failed[: max(0, len(failed) - KEPT_FAILED + 1)][:DELETED_AT_ONCE]
    return tuple((one["metadata"]["name"], one["metadata"]["uid"]) for one in old)


def _due(attempts: Mapping[int, Object]) -> datetime | None:
    """When the next is asked for, the last having failed; None: it has not."""
    number = max(attempts, default=0)
    ended = (attempts[number].get("status") or {}).get("completionTime") if number else None
    if not ended or operations.phase(attempts[number]) != "Failed":
        return None
    return parse_time(str(ended)) + PACE.pause(number)


def _is_due(attempts: Mapping[int, Object], now: datetime) -> bool:
    """One that is complete will be listed; after one that failed the next is asked for, later each time."""
    due = _due(attempts)
    return due is not None and now >= due


# --- the condition -----------------------------------------------------------------------------------------------


def verdict(facts: RepositoryFacts) -> tuple[bool | None, str, str]:
    """Status, reason and message of WALContinuous."""
    found = unmended(facts)
    if found:
        told = "; ".join(sentence(storage, gap) for storage, gap in found)
        return (
            False,
            "WALMissing",
            f"{told}. A backup begins a new recovery window and is asked for{_again(facts, found)}",
        )
    read = {storage.number for storage in storages.read(facts)}
    listed = {one.repo for one in facts.archives if one.complete}
    if not read or not read <= listed:
        return None, "NotListedYet", "the WAL in the storages has not been listed yet"
    before = [sentence(name, gap) for name in facts.spec.storages for gap in known(facts, name)[-1:]]
    more = f"; before it, {before[0]}" if before else ""
    return True, "NothingMissing", f"no WAL is missing since the newest backup{more}"


def _again(facts: RepositoryFacts, found: Iterable[tuple[str, Gap]]) -> str:
    tried = [attempts for _, gap in found if (attempts := _attempts(facts, gap, facts.backups))]
    due = [time for attempts in tried if (time := _due(attempts)) and time > facts.now]
    return f"; the last one failed, and it is tried again at {conditions.timestamp(min(due))}" if due else ""


def latest(window: Window, archived: str) -> str:
    """The end of *window*, where *archived* is the time up to which WAL is archived."""
    earliest = conditions.timestamp(window.earliest)
    return max(window.gap.until if window.gap else archived, earliest)
