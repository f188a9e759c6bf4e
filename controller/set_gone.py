"""Condition Available of Completed Backups: what is written where a set has gone, or is there again.

Whoever expires sets on request says so at once; what has gone without that, the look at the Repository finds.
"""

from __future__ import annotations

from collections.abc import Collection

import structlog

from controller.context import Context
from controller.runtime import conditions, status
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going
from pgwarden.kube import errors
from pgwarden.kube.cache import about
from pgwarden.rules.dependents import set_in

log = structlog.get_logger()
#: Reasons of the condition. MAY_BE: a Backup is running, and what its retention expired is known when it has ended.
THERE, EXPIRED, MAY_BE, GONE = "InRepository", "Expired", "MayBeExpired", "Gone"


async def write(context: Context, backup: Object, reason: str, message: str) -> None:
    before = backup["status"]
    listed = conditions.put(
        before.get("conditions", []),
        "Available",
        reason == THERE,
        reason,
        message,
        now=context.clock(),
        generation=backup["metadata"]["generation"],
    )
    if await status.write(context.client, "backups", backup, before | {"conditions": listed}):
        tell = context.recorder.warning if reason == GONE else context.recorder.normal
        await tell(backup, reason, message)


async def tell_expired(context: Context, repository: Object, labels: Collection[str], repo: int, why: str) -> None:
    """Say of each Backup whose set is among *labels* in storage *repo* that it has been expired, and *why*."""
    metadata = repository["metadata"]
    for one in context.caches.of_repository(context.caches.backups, metadata["namespace"], metadata["name"]):
        label, number = set_in(repository, one)
        if label not in labels or number != repo or is_going(one):
            continue
        try:
            await write(context, one, EXPIRED, f"set {label} was expired {why}")
        except (errors.Invalid, errors.NotFound) as error:
            log.warning("cannot update a Backup's condition Available", error=str(error), **about(one))
