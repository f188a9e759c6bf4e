"""One operation at a time on a stanza: backups and restores wait for one another, and say for whom.

Pure: decided from the objects themselves, so that it is the same after a restart of the controller.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgwarden.api import names
from pgwarden.api.faults import Waits
from pgwarden.kube.client import Object

TERMINAL = ("Completed", "Failed")
#: status.reason of a deleted Backup while the Job runs that expires its set.
EXPIRING = "Expiring"
#: status.reason of what waits for something that no operation before it could bring.
CANNOT_BEGIN = frozenset({*Waits, "NoBackup", "NoClaim", "ClaimInUse", "ClaimGoing"})


def phase(obj: Object) -> str:
    return str(obj.get("status", {}).get("phase", "")) or "Pending"


def is_over(obj: Object) -> bool:
    """A terminal phase never goes back."""
    return phase(obj) in TERMINAL


def holder(operations: Iterable[Object]) -> Object | None:
    """The one that may run: it runs already, or it is the oldest that waits."""
    alive = [o for o in operations if is_expiring(o) or _is_alive(o)]
    running = [o for o in alive if _runs(o)]
    return min(running or alive, key=_age, default=None)


def _is_alive(obj: Object) -> bool:
    return not is_over(obj) and not _refused(obj) and "deletionTimestamp" not in obj["metadata"]


def is_expiring(obj: Object) -> bool:
    """A deleted Backup whose set is to be expired before it goes: that is an operation on the stanza as well."""
    metadata = obj["metadata"]
    return "deletionTimestamp" in metadata and names.FINALIZER_EXPIRE in metadata.get("finalizers", [])


def _runs(obj: Object) -> bool:
    if is_expiring(obj):
        return bool(obj.get("status", {}).get("reason") == EXPIRING)
    return phase(obj) == "Running"


def may_run(obj: Object, operations: Iterable[Object]) -> bool:
    """Whether *obj* holds the stanza, or is the backup that the Restore which holds it has asked for."""
    held_by = holder(operations)
    if held_by is None or held_by["metadata"]["uid"] == obj["metadata"]["uid"]:
        return True
    asked_by = obj["metadata"].get("labels", {}).get(names.LABEL_RESTORE)
    return bool(held_by["kind"] == "Restore" and held_by["metadata"]["name"] == asked_by)


def title(obj: Object) -> str:
    found = f"{obj['kind']} {obj['metadata']['name']}"
    return f"the expiry of the set of {found}" if is_expiring(obj) else found


def _age(obj: Object) -> tuple[str, str]:
    """Since when it waits, and its name."""
    metadata = obj["metadata"]
    return str(metadata["deletionTimestamp" if is_expiring(obj) else "creationTimestamp"]), str(metadata["name"])


def _refused(obj: Object) -> bool:
    """By a rule, for good or until the world is another: it cannot begin, so it holds nobody up."""
    if phase(obj) == "Pending" and obj.get("status", {}).get("reason") in CANNOT_BEGIN:
        return True
    conditions = obj.get("status", {}).get("conditions", [])
    return any(one["type"] == "Rejected" and one["status"] == "True" for one in conditions)
