"""The drills that have ended of a Repository: `status.lastDrills`, and what they prove together. Pure.

The controller of RestoreDrills puts an entry there as it ends one. So what was proven stays when the drills are
deleted, and nobody else's object has a part in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pgwarden.api.objects import Object
from pgwarden.api.reading import get, moment, objects
from pgwarden.api.wording import clock, span

FIELD = "lastDrills"
MOST = 10  # entries
LONGEST_MESSAGE = 256  # characters
#: Condition of a Repository, and its reason while no drill has ended, and after one that passed.
CONDITION, NONE_YET, PASSED = "Proven", "NoDrill", "DrillPassed"
#: Parts of a drill's status.seconds that a restore in earnest takes too: the checks are none.
OF_A_RESTORE = ("volume", "copy", "replay", "start")


class Proven(NamedTuple):
    """`status` None is Unknown."""

    status: bool | None
    reason: str
    message: str


def entry(drill: Object, status: Object, storage: str) -> Object:
    """What is kept of *drill*, which ends with *status*."""
    found = {
        "name": drill["metadata"]["name"],
        "uid": drill["metadata"]["uid"],
        "endedAt": status["completionTime"],
        "phase": status["phase"],
        "reason": status.get("reason"),
        "message": str(status.get("message") or "")[:LONGEST_MESSAGE],
        "set": status.get("set"),
        "storage": storage,
        "recoveredTo": status.get("recoveredTo"),
        "seconds": seconds_of(status),
    }
    return {key: value for key, value in found.items() if value not in {None, ""}}


def seconds_of(status: Object) -> int | None:
    """How long the restore in a drill took, without the wait for its turn and without its checks."""
    told = [get(status, int, "seconds", part) for part in OF_A_RESTORE]
    known = [one for one in told if one is not None]
    return sum(known) if known else None


def added(before: Iterable[Object], new: Object) -> list[Object]:
    """The list with *new*. What it drops, when it is full, is old; but never the newest one of a storage."""
    others = [one for one in before if one.get("uid") != new.get("uid")]
    ordered = sorted([new, *others], key=lambda one: str(one.get("endedAt")), reverse=True)
    newest = {str(one.get("storage", "")): one for one in reversed(ordered)}
    kept = [one for one in ordered if any(one is last for last in newest.values())][:MOST]
    rest = [one for one in ordered if not any(one is last for last in kept)][: MOST - len(kept)]
    return [one for one in ordered if any(one is last for last in (*kept, *rest))]


def of(repository: Object) -> list[Object]:
    """Newest first. Of an earlier Repository of the name, which a tool has brought back with its status, none."""
    made = moment(get(repository, str, "metadata", "creationTimestamp"))
    listed = objects(repository, "status", FIELD)
    return [one for one in listed if (at := ended(one)) is not None and (made is None or at >= made)]


def ended(one: Object) -> datetime | None:
    return moment(one.get("endedAt"))


def passed(one: Object) -> bool:
    return one.get("phase") == "Completed"


def last_proof(drills: Iterable[Object]) -> Object | None:
    """The newest of *drills* (newest first) that passed."""
    return next(filter(passed, drills), None)


def verdict(drills: Sequence[Object], storages: Sequence[str]) -> Proven:
    """The condition: False where the newest drill of any of *storages* failed."""
    if not drills:
        return Proven(
            None, NONE_YET, "no RestoreDrill of this Repository has ended, so nothing proves that it can be restored"
        )
    failed = next((one for one in drills if not passed(one) and _stands(one, drills, storages)), None)
    if failed is not None:
        said = f": {failed['message']}" if failed.get("message") else ""
        text = f"RestoreDrill {failed.get('name')} failed at {clock(ended(failed))}{said}"
        return Proven(False, str(failed.get("reason") or "Failed"), text)
    proof = last_proof(drills)
    if proof is None:  # a storage that it failed on is not used any more
        return Proven(None, NONE_YET, f"no RestoreDrill has ended of storage {' or '.join(storages)}")
    return Proven(True, PASSED, f"RestoreDrill {proof.get('name')} {told(proof)}; it ended at {clock(ended(proof))}")


def _stands(failed: Object, drills: Iterable[Object], storages: Sequence[str]) -> bool:
    """Whether no later drill of its storage passed: where it did not come to one, of any."""
    storage = failed.get("storage")
    if storage and storage not in storages:
        return False
    later = [one for one in drills if str(one.get("endedAt")) > str(failed.get("endedAt"))]
    return not any(passed(one) and (not storage or one.get("storage") == storage) for one in later)


def told(one: Object) -> str:
    """What a drill that passed has shown: which set, which moment, how long it took."""
    seconds = get(one, int, "seconds")
    parts: list[Any] = [
        f"restored set {one['set']}" if one.get("set") else "restored",
        f"from storage {one['storage']}" if one.get("storage") else "",
        f"up to {one['recoveredTo']}" if one.get("recoveredTo") else "",
        f"in {span(timedelta(seconds=seconds))}" if seconds is not None else "",
    ]
    return " ".join(part for part in parts if part)
