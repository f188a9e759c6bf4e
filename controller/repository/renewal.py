"""A new full backup that is owed: why, since when, its name, and its pace. Pure.

Whoever finds that a storage can no longer be recovered from as before (its backups are gone, its WAL has a hole) adds a
`Debt`. It stays in `status.fullBackupOwed` until the storage holds a full backup that began after it. `plan` says what
is done about it: one Backup at a time, of an increasing number, tried again after growing pauses.

Use: `owed = renewal.standing(status, found, newest_full)`, where *found* are the debts seen in this look, goes into the
status; `renewal.plan(...)` into what is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller import operations, storage_state
from controller.runtime import conditions
from controller.runtime.backoff import Pace
from pgwarden.api import names, numbered_backups
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, moment, objects

FIELD = "fullBackupOwed"
#: After a Backup that failed, until the next is asked for.
PACE = Pace(timedelta(minutes=1), timedelta(hours=1))
#: Failed ones that are kept; older ones are deleted, at most so many at a time.
KEPT_FAILED, DELETED_AT_ONCE = 3, 20


@dataclass(frozen=True)
class Debt:
    """Why a full backup in *storage* is owed. *since*: only one that begins at or after that time pays it."""

    storage: str
    reason: str  # CamelCase
    message: str  # a sentence without a full stop
    since: datetime

    def entry(self) -> Object:
        """For `status.fullBackupOwed`."""
        return {
            "storage": self.storage,
            "reason": self.reason,
            "message": self.message,
            "since": conditions.timestamp(self.since),
        }


@dataclass(frozen=True)
class BackUp:
    """Create this Backup, of type full in *debt*'s storage; then delete *expendable*, (name, uid) of failed ones."""

    name: str
    debt: Debt
    expendable: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Wait:
    """Nothing is to be done now; *message* says what is waited for."""

    debt: Debt
    message: str


def standing(status: Object, found: Iterable[Debt], newest_full: Mapping[str, datetime]) -> list[Debt]:
    """What is owed from now on, at most one debt for each storage: what *status* of the Repository remembers and what
    was *found* in this look, the latest of them, unless it is paid.

    *newest_full*: storage → when its newest full backup without errors began; a storage that could not be read, or has
    none, is left out.
    """
    latest: dict[str, Debt] = {}
    for debt in (*_remembered(status), *found):
        if debt.storage not in latest or debt.since > latest[debt.storage].since:
            latest[debt.storage] = debt
    return [debt for debt in latest.values() if not (began := newest_full.get(debt.storage)) or began < debt.since]


def plan(
    repository: Object, owed: Iterable[Debt], backups: Iterable[Object], hindrances: Mapping[str, str], now: datetime
) -> list[BackUp | Wait]:
    """For each of *owed* what to do. *backups*: all Backups of the Repository. *hindrances*: storage → why no backup
    can begin there now.
    """
    known = list(backups)
    return [_of_one(repository, debt, known, hindrances.get(debt.storage, ""), now) for debt in owed]


def entries(repository: Object, owed: Iterable[Debt], backups: Iterable[Object], now: datetime) -> list[Object]:
    """For `status.fullBackupOwed`: what is owed, and where it has failed how often, and when it is tried again."""
    known, name = list(backups), repository["metadata"]["name"]
    return [debt.entry() | _tries(_attempts(name, debt, known), now) for debt in owed]


def _tries(attempts: Mapping[int, Object], now: datetime) -> Object:
    last = attempts[max(attempts)] if attempts else None
    due = _due(attempts)
    if last is None or operations.phase(last) != "Failed" or due is None or due <= now:
        return {}
    return {"failedAttempts": max(attempts), "nextTryTime": conditions.timestamp(due)}


def backup(repository: Object, asked: BackUp) -> Object:
    """The Backup to create. It has no owner: it is a record of its set, as others are."""
    metadata = repository["metadata"]
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Backup",
        "metadata": {
            "name": asked.name,
            "namespace": metadata["namespace"],
            "labels": {names.MANAGED_BY: "pgwarden"},
            # A new one, though an earlier Repository of the name may have asked for the same.
            "annotations": {names.ANNOTATION_RUN_AGAIN: f"{metadata['uid']}-{conditions.timestamp(asked.debt.since)}"},
        },
        "spec": {"repository": metadata["name"], "type": "full", "storage": asked.debt.storage},
    }


def _remembered(status: Object) -> list[Debt]:
    """The entries of the status that can be read."""
    found = []
    for entry in objects({"status": status}, "status", FIELD):
        since = moment(entry.get("since"))
        if since is not None and isinstance(entry.get("storage"), str):
            found.append(Debt(entry["storage"], str(entry.get("reason")), str(entry.get("message")), since))
    return found


def _of_one(repository: Object, debt: Debt, backups: list[Object], hindrance: str, now: datetime) -> BackUp | Wait:
    name = repository["metadata"]["name"]
    if hindrance:
        return Wait(debt, f"it begins once storage {debt.storage} is ready: {hindrance}")
    first = storage_state.first(repository)
    there = [one for one in backups if (get(one, str, "spec", "storage") or first) == debt.storage]
    running = [one for one in there if get(one, str, "spec", "type") == "full" and not operations.is_over(one)]
    if running:
        return Wait(debt, f"waiting for Backup {running[0]['metadata']['name']}")
    attempts = _attempts(name, debt, backups)
    last = attempts[max(attempts)] if attempts else None
    if last is not None and operations.phase(last) == "Completed":
        return Wait(debt, f"Backup {last['metadata']['name']} is complete; the Repository will list it")
    due = _due(attempts)
    if due is not None and now < due:
        times = f" {max(attempts)} times" if max(attempts) > 1 else ""
        return Wait(debt, f"it has failed{times}; it is tried again at {conditions.timestamp(due)}")
    failed = [attempts[number]["metadata"] for number in sorted(attempts)]
    old = [(one["name"], one["uid"]) for one in failed[: max(0, len(failed) - KEPT_FAILED + 1)]]
    asked = numbered_backups.renewal_backup(name, debt.storage, debt.since, max(attempts, default=0) + 1)
    return BackUp(asked, debt, tuple(old[:DELETED_AT_ONCE]))


def _attempts(repository: str, debt: Debt, backups: list[Object]) -> dict[int, Object]:
    """By their number: that of the newest is how often it was tried."""
    numbered = {
        numbered_backups.renewal_attempt(repository, debt.storage, debt.since, one["metadata"]["name"]): one
        for one in backups
    }
    return {number: one for number, one in numbered.items() if number}


def _due(attempts: Mapping[int, Object]) -> datetime | None:
    """When the next is asked for, all *attempts* so far being over; None: at once."""
    ended = [time for one in attempts.values() if (time := moment((one.get("status") or {}).get("completionTime")))]
    return max(ended) + PACE.pause(max(attempts)) if ended else None
