"""What was made for a RestoreDrill goes: the Job with the checks, the Restore with its Job, the claim, the policy.

Of one that failed it is kept for a while, where that is asked for.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from controller import finalizers, jobs, operations, owned
from controller.context import Context
from controller.runtime import conditions, status
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, is_going, moment
from pgwarden.kube import paths

SOON = 1.0


def kept_until(drill: Object) -> datetime | None:
    """Of one that failed, and asks for it."""
    hours = get(drill, int, "spec", "keepFailedHours") or 0
    ended = moment(get(drill, str, "status", "completionTime"))
    if is_going(drill) or operations.phase(drill) != "Failed" or ended is None or not hours:
        return None
    return ended + timedelta(hours=hours)


async def keep(context: Context, drill: Object, until: datetime) -> bool:
    """Whether there is something that may be kept: what still works holds others up, and goes."""
    metadata = drill["metadata"]
    namespace, uid = metadata["namespace"], metadata["uid"]
    restore = await context.client.find(paths.of("restores", namespace, names.drill(metadata["name"])))
    if restore is None or not owned.is_owned(restore, uid) or not operations.is_over(restore):
        return False
    job = await context.client.find(paths.of("jobs", namespace, names.drill_checks(metadata["name"])))
    if job is not None and owned.is_owned(job, uid) and not jobs.finished(job):
        await _delete(context, "jobs", job)
    after = (drill.get("status") or {}) | {"keptUntil": conditions.timestamp(until)}
    await status.write(context.client, "restoredrills", drill, after)
    return True


async def clean(context: Context, drill: Object) -> bool:
    """Whether nothing is left. Called until it is."""
    metadata = drill["metadata"]
    namespace, uid = metadata["namespace"], metadata["uid"]
    checks, restored = names.drill_checks(metadata["name"]), names.drill(metadata["name"])
    restore = await context.client.find(paths.of("restores", namespace, restored))
    mine = restore if restore is not None and owned.is_owned(restore, uid) else None
    made_by = (drill.get("status") or {}).get("restoreUID")
    if mine is not None and made_by != mine["metadata"]["uid"]:
        # By this the claim is known once the Restore is gone.
        after = (drill.get("status") or {}) | {"restoreUID": mine["metadata"]["uid"]}
        await status.write(context.client, "restoredrills", drill, after)
        return False
    left = False
    for plural, name in (("jobs", checks), ("networkpolicies", checks), ("restores", restored)):
        found = mine if plural == "restores" else await context.client.find(paths.of(plural, namespace, name))
        if found is not None and owned.is_owned(found, uid):
            left = True
            await _delete(context, plural, found)
    claim = await context.client.find(paths.of("persistentvolumeclaims", namespace, restored))
    if claim is not None and made_by and _maker(claim) == made_by:
        left = True
        if mine is None:  # else it would be made anew
            await _delete(context, "persistentvolumeclaims", claim)
    return not left


def _maker(claim: Object) -> str | None:
    found: str | None = (claim["metadata"].get("annotations") or {}).get(names.ANNOTATION_RESTORE_UID)
    return found


async def _delete(context: Context, plural: str, found: Object) -> None:
    metadata = found["metadata"]
    if not is_going(found):
        await context.client.delete(paths.of(plural, metadata["namespace"], metadata["name"]), uid=metadata["uid"])


async def set_finalizer(context: Context, drill: Object, *, there: bool) -> None:
    metadata = drill["metadata"]
    change = finalizers.change(drill, names.FINALIZER_DRILL, there=there)
    await context.client.merge(paths.of("restoredrills", metadata["namespace"], metadata["name"]), change)
