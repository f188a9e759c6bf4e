"""Condition Available of Completed Backups: whether the set is still in the repository, or which Backup expired it."""

from __future__ import annotations

from collections.abc import Iterable

import aiohttp
import structlog

from pgwarden.api.dependents import set_of
from pgwarden.api.rules.common import get
from pgwarden.controller.context import Context
from pgwarden.controller.repository.report import LISTED_BACKUPS
from pgwarden.controller.runtime import conditions, status
from pgwarden.kube import errors
from pgwarden.kube.cache import about
from pgwarden.kube.client import Object

log = structlog.get_logger()
Set = tuple[str, int]  # label, and number of the storage


async def tell(context: Context, repository: Object, after: Object) -> None:
    """Say of each Backup whose set the Repository's status listed and *after* does not, that it has gone."""
    gone = lost(repository.get("status") or {}, after)
    if not gone:
        return
    metadata = repository["metadata"]
    backups = context.caches.of_repository(context.caches.backups, metadata["namespace"], metadata["name"])
    passing: Exception | None = None
    for backup in backups:
        try:
            if set_of(backup) in gone and "deletionTimestamp" not in backup["metadata"]:
                await _write(context, backup, why_gone(backup, backups))
        except (errors.ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            if isinstance(error, errors.Invalid | errors.NotFound):
                log.warning("a Backup cannot be told that its set is gone", error=str(error), **about(backup))
            else:
                passing = error  # told with the next look: the status of the Repository waits for it
        except Exception:
            # What is wrong with one Backup holds up neither the others nor the Repository.
            log.exception("a Backup is not told that its set is gone", **about(backup))
    if passing is not None:
        raise passing


async def _write(context: Context, backup: Object, message: str) -> None:
    before = backup["status"]
    listed = conditions.put(
        before.get("conditions", []),
        "Available",
        False,
        "Expired",
        message,
        now=context.clock(),
        generation=backup["metadata"]["generation"],
    )
    if await status.write(context.client, "backups", backup, before | {"conditions": listed}):
        await context.recorder.normal(backup, "Expired", message)


def lost(before: Object, after: Object) -> set[Set]:
    """Of two statuses of a Repository. What is no longer among the newest that a status lists is not lost."""
    left = _sets(after.get("backups") or [])
    gone = {one: ended for one, ended in _sets(before.get("backups") or []).items() if one not in left}
    if len(left) < LISTED_BACKUPS:
        return set(gone)
    oldest = min(left.values())
    return {one for one, ended in gone.items() if ended > oldest}


def _sets(entries: Iterable[Object]) -> dict[Set, str]:
    return {(str(one["label"]), int(one["repo"])): str(one["stopTime"]) for one in entries}


def why_gone(backup: Object, others: Iterable[Object]) -> str:
    label, _ = set_of(backup)
    by = [o["metadata"]["name"] for o in others if label in (get(o, list, "status", "expired") or [])]
    if by:
        return f"set {label} was expired by the retention, after Backup {by[0]}"
    return f"set {label} is no longer in the repository"
