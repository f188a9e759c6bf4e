"""Condition Available of Completed Backups: whether the set is still in the repository, or which Backup expired it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import aiohttp
import structlog

from controller import operations, set_gone
from controller.context import Context
from controller.repository import storages
from controller.repository.facts import RepositoryFacts
from controller.runtime import conditions
from controller.set_gone import EXPIRED, GONE, MAY_BE, THERE
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, is_going
from pgwarden.kube import errors
from pgwarden.kube.cache import about
from pgwarden.rules import backup_sets
from pgwarden.rules.dependents import set_of

log = structlog.get_logger()
Set = tuple[str, str | int]  # label, and name of the storage, or its number where it has no name
#: A Backup's completionTime is in whole seconds.
_ROUNDED = timedelta(seconds=1)
_AT_ONCE = 50  # Backups written to in one look: the others are seen at the next one


async def tell(context: Context, facts: RepositoryFacts, after: Object) -> None:
    """Say of each Backup whose set has gone that it has, and of one whose set is back that it is there again.

    *after* is the status that the Repository of *facts* is about to be given.
    """
    metadata = facts.repository["metadata"]
    backups = context.caches.of_repository(context.caches.backups, metadata["namespace"], metadata["name"])
    gone, there = lost(facts.repository.get("status") or {}, after), read(facts)
    with_set = [one for one in backups if set_of(one)[0] and not is_going(one)]
    expired = [
        one
        for one in with_set
        if not _is_said_gone(one) and (_place(one["status"]) in gone or is_missing(one, there, facts.now))
    ]
    said_gone = [one for one in with_set if _is_said_gone(one)]
    back = [one for one in said_gone if _is_there(one, there)]
    not_known = [one for one in said_gone if _reason(one) == MAY_BE and not _is_there(one, there)]
    said = [(one, *why_gone(one, backups)) for one in expired[:_AT_ONCE]]
    known = [(one, *why_gone(one, backups)) for one in not_known]
    said += [one for one in known if one[1] != MAY_BE][:_AT_ONCE]
    said += [(one, THERE, f"set {set_of(one)[0]} is in the repository") for one in back[:_AT_ONCE]]
    passing: Exception | None = None
    for backup, reason, message in said:
        try:
            await set_gone.write(context, backup, reason, message)
        except (errors.ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            if isinstance(error, errors.Invalid | errors.NotFound):
                log.warning("cannot update a Backup's condition Available", error=str(error), **about(backup))
            else:
                passing = error  # told with the next look: the status of the Repository waits for it
        except Exception:
            # What is wrong with one Backup holds up neither the others nor the Repository.
            log.exception("a Backup's condition Available is not updated", **about(backup))
    if passing is not None:
        raise passing


def lost(before: Object, after: Object) -> set[Set]:
    """Of two statuses of a Repository. What is no longer among the newest that a status lists is not lost."""
    left = _listed(after)
    gone = {one: ended for one, ended in _listed(before).items() if one not in left}
    if len(left) < backup_sets.LISTED:
        return set(gone)
    oldest = min(left.values())
    return {one for one, ended in gone.items() if ended > oldest}


def _listed(of: Object) -> dict[Set, str]:
    return {_place(one): str(one.get("stopTime")) for one in backup_sets.of({"status": of}).newest_first}


def _place(one: Object) -> Set:
    """Of a set that is listed, or of a Backup's status. The name of its storage outlives the number."""
    return str(one.get("label")), one.get("storage") or one.get("repo") or 0


def read(facts: RepositoryFacts) -> dict[str, set[str]]:
    """The labels of all sets in each storage that has just been read."""
    found: dict[str, set[str]] = {storage.name: set() for storage in storages.read(facts)}
    for one in facts.info.backups if facts.info else ():
        if one.repo <= len(facts.spec.storages):
            found.get(facts.spec.storages[one.repo - 1], set()).add(one.label)
    return found


def is_missing(backup: Object, there: Mapping[str, set[str]], asked: datetime) -> bool:
    """Whether the set of *backup* is not in its storage, though it was completed before the storages were *asked*."""
    sets, ended = there.get(get(backup, str, "status", "storage") or ""), get(backup, str, "status", "completionTime")
    if sets is None or not ended or set_of(backup)[0] in sets:
        return False
    return datetime.fromisoformat(ended) + _ROUNDED <= asked


def _available(backup: Object) -> Object:
    return conditions.find(backup["status"].get("conditions") or [], "Available") or {}


def _is_said_gone(backup: Object) -> bool:
    return bool(_available(backup).get("status") == "False")


def _reason(backup: Object) -> str:
    return str(_available(backup).get("reason"))


def _is_there(backup: Object, there: Mapping[str, set[str]]) -> bool:
    return set_of(backup)[0] in there.get(get(backup, str, "status", "storage") or "", set())


def why_gone(backup: Object, others: Collection[Object]) -> tuple[str, str]:
    """Reason and message."""
    label, _ = set_of(backup)
    by = [o["metadata"]["name"] for o in others if label in (get(o, list, "status", "expired") or [])]
    if by:
        return EXPIRED, f"set {label} was expired by retention after Backup {by[0]}"
    full = label.partition("_")[0]
    for one in others:
        if operations.is_expiring(one) and operations.running([one]) and set_of(one)[0].partition("_")[0] == full:
            return EXPIRED, f"set {label} was expired with Backup {one['metadata']['name']}, which is being deleted"
    not_there = f"set {label} is no longer in the repository"
    working = operations.running(one for one in others if not operations.is_expiring(one))
    if working is not None:
        return MAY_BE, f"{not_there}; Backup {working['metadata']['name']}, which is running, may have expired it"
    return GONE, f"{not_there}, and neither a Backup's retention nor a request expired it"
