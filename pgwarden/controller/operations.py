"""One operation at a time on a stanza: backups and restores wait for one another, and say for whom.

Pure: decided from the objects themselves, so that it is the same after a restart of the controller.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgwarden.api import names
from pgwarden.kube.client import Object

TERMINAL = ("Completed", "Failed")


def phase(obj: Object) -> str:
    return str(obj.get("status", {}).get("phase", "")) or "Pending"


def is_over(obj: Object) -> bool:
    """A terminal phase never goes back."""
    return phase(obj) in TERMINAL


def holder(operations: Iterable[Object]) -> Object | None:
    """The one that may run: it runs already, or it is the oldest that waits."""
    alive = [o for o in operations if not is_over(o) and not _refused(o) and "deletionTimestamp" not in o["metadata"]]
    running = [o for o in alive if phase(o) == "Running"]
    return min(running or alive, key=_age, default=None)


def may_run(obj: Object, operations: Iterable[Object]) -> bool:
    """Whether *obj* holds the stanza, or is the backup that the Restore which holds it has asked for."""
    held_by = holder(operations)
    if held_by is None or held_by["metadata"]["uid"] == obj["metadata"]["uid"]:
        return True
    asked_by = obj["metadata"].get("labels", {}).get(names.LABEL_RESTORE)
    return bool(held_by["kind"] == "Restore" and held_by["metadata"]["name"] == asked_by)


def title(obj: Object) -> str:
    return f"{obj['kind']} {obj['metadata']['name']}"


def _age(obj: Object) -> tuple[str, str]:
    return str(obj["metadata"]["creationTimestamp"]), str(obj["metadata"]["name"])


def _refused(obj: Object) -> bool:
    conditions = obj.get("status", {}).get("conditions", [])
    return any(one["type"] == "Rejected" and one["status"] == "True" for one in conditions)
