"""One operation at a time on a stanza: who runs, who is next, and what the others say of it.

Pure: decided from the objects themselves, so that it is the same after a restart of the controller. What runs holds the
stanza. Of those that wait a Restore goes before any Backup, then the oldest; one that waits for something else than its
turn (a primary, a storage, a pod) holds nobody up.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller import finalizers
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, is_going

TERMINAL = ("Completed", "Failed")
#: status.reason of a deleted Backup while the Job runs that expires its set.
EXPIRING = "Expiring"
#: status.reason of a Backup whose Job has ended well, until `info` shows its set.
READING = "ReadingInfo"
#: status.reason of one that waits for the storage that it uses.
NOT_READY = "RepositoryNotReady"
#: status.reason of a Backup whose Job the API server does not take: a quota, a policy.
JOB_REFUSED = "JobRefused"
#: status.reason of one whose Job was taken back because no pod of it could start.
JOB_STUCK = "JobStuck"
#: status.reason of one that waits until WAL is archived that waits before its own.
BACKLOG = "WALBacklog"
#: status.reason of one in a window of its spec.notDuring.
EXCLUDED = "InExcludedWindow"
#: What passes only once somebody has changed something: an Event of it is a warning.
WRONG = frozenset({JOB_REFUSED, JOB_STUCK})
#: For these a Restore does not hold the stanza until its Backup afterwards; for what lasts seconds it does.
MAY_TAKE_LONG = frozenset({NOT_READY, JOB_REFUSED, JOB_STUCK, BACKLOG, EXCLUDED})
#: Reasons of one that could begin if it were its turn; empty before its first look.
FOR_ITS_TURN = frozenset({"", "Waiting", "WaitingForTurn", "UndoingEarlier"})


def _status(obj: Object) -> Object:
    """Empty where there is none yet, or something else than an object."""
    return get(obj, dict, "status") or {}


def phase(obj: Object) -> str:
    return str(_status(obj).get("phase", "")) or "Pending"


def is_over(obj: Object) -> bool:
    """A terminal phase never goes back."""
    return phase(obj) in TERMINAL


def holder(operations: Iterable[Object], me: Object | None = None) -> Object | None:
    """The one that runs, else the one that is next. *me* is looking: whatever it said last, it can begin now."""
    alive = [o for o in operations if is_expiring(o) or _is_alive(o)]
    running = [o for o in alive if _runs(o) and not _stands_aside(o, alive)]
    if running and all(_awaits_backup(o, alive) for o in running):
        running = [min(running, key=_age)]  # else their Backups would wait for each other
    if me is not None:  # whoever asked for *me* makes way for it, but nobody else who runs does
        running = [o for o in running if not _asked_by(me, o)] or running
    ready = [o for o in alive if not _has_begun(o) and (waits_for_turn(o) or _same(o, me))]
    return min(running, key=_age, default=None) or min(ready, key=_rank, default=None)


def running(operations: Iterable[Object]) -> Object | None:
    """One that something is at work for."""
    return next((one for one in operations if (is_expiring(one) or _is_alive(one)) and _runs(one)), None)


def _is_alive(obj: Object) -> bool:
    return not is_over(obj) and not _refused(obj) and not is_going(obj)


def is_expiring(obj: Object) -> bool:
    """A deleted Backup whose set is to be expired before it goes: that is an operation on the stanza as well."""
    return is_going(obj) and finalizers.has(obj, names.FINALIZER_EXPIRE)


def _runs(obj: Object) -> bool:
    """Whether something is at work for it. Of a Backup whose Job is over only the proof is still looked for."""
    status = _status(obj)
    if is_expiring(obj):
        return bool(status.get("reason") == EXPIRING)
    return _has_begun(obj) and status.get("reason") != READING


def _has_begun(obj: Object) -> bool:
    """A Restore with a plan has, whichever version of pgwarden can read it."""
    if is_expiring(obj):
        return _runs(obj)
    return phase(obj) == "Running" or (obj["kind"] == "Restore" and bool(_status(obj).get("plan")))


def waits_for_turn(obj: Object) -> bool:
    """Whether nothing but the others keeps it from beginning, as far as it has said."""
    # Of a Backup that was deleted it may be of its life before: then it has not looked yet, and holds nobody up.
    return str(_status(obj).get("reason") or "") in FOR_ITS_TURN


def _stands_aside(restore: Object, alive: Iterable[Object]) -> bool:
    """A Restore whose rows are back, and whose Backup afterwards waits for what may take long."""
    return _is_last(restore) and any(
        _asked_by(o, restore) and not _has_begun(o) and _status(o).get("reason") in MAY_TAKE_LONG for o in alive
    )


def _awaits_backup(restore: Object, alive: Iterable[Object]) -> bool:
    """A Restore whose rows are back, and whose Backup afterwards has not begun."""
    return _is_last(restore) and not any(_asked_by(o, restore) and _has_begun(o) for o in alive)


def _is_last(obj: Object) -> bool:
    return bool(obj["kind"] == "Restore" and _status(obj).get("step") == "BackedUp")


def may_run(obj: Object, operations: Iterable[Object]) -> bool:
    """Whether *obj* holds the stanza, or is the backup that the Restore which holds it has asked for."""
    held_by = holder(operations, obj)
    return held_by is None or _same(held_by, obj) or _asked_by(obj, held_by)


def _same(one: Object, other: Object | None) -> bool:
    return other is not None and bool(one["metadata"]["uid"] == other["metadata"]["uid"])


def _asked_by(backup: Object, restore: Object) -> bool:
    """By this very Restore: what an earlier one of its name has asked for is older."""
    mine, its = backup["metadata"], restore["metadata"]
    named = restore["kind"] == "Restore" and its["name"] == mine.get("labels", {}).get(names.LABEL_RESTORE)
    return bool(named and mine["creationTimestamp"] >= its["creationTimestamp"])


def standing(obj: Object, operations: Iterable[Object]) -> tuple[str, str]:
    """Whom *obj* waits for; and, of one that runs, since when, what it says of itself, and the way out."""
    held_by = holder(operations, obj)
    if held_by is None:
        return "another operation", ""
    status = _status(held_by)
    reason, since = status.get("reason"), status.get("startTime")
    if is_expiring(held_by) or not _runs(held_by) or not (reason or since):
        return title(held_by), ""
    at = f"since {since}" if since else "now"
    said = f" ({reason}: {status.get('message', '')})" if reason else ""
    return title(held_by), f"; it runs {at}{said}. Delete it if you cannot wait"


def title(obj: Object) -> str:
    found = f"{obj['kind']} {obj['metadata']['name']}"
    return f"the expiry of the set of {found}" if is_expiring(obj) else found


def _age(obj: Object) -> tuple[str, str]:
    """Since when it waits, and its name."""
    metadata = obj["metadata"]
    return str(metadata["deletionTimestamp" if is_expiring(obj) else "creationTimestamp"]), str(metadata["name"])


def _rank(obj: Object) -> tuple[bool, str, str]:
    return obj["kind"] != "Restore", *_age(obj)


def _refused(obj: Object) -> bool:
    conditions = _status(obj).get("conditions", [])
    return any(one["type"] == "Rejected" and one["status"] == "True" for one in conditions)
