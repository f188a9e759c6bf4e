"""Whether one storage of a Repository can be used now, by what the Repository's status says. Pure."""

from __future__ import annotations

from controller.runtime import conditions
from pgwarden.api.objects import Object


def first(repository: Object) -> str:
    """The storage of an operation that names none."""
    return str((repository.get("spec") or {}).get("storageType") or "").partition(",")[0]


def hindrance(repository: Object, storage: str) -> str:
    """Why an operation on *storage* must wait; empty where it can begin. What the other storage says is left out."""
    status = repository.get("status") or {}
    entry: Object = next((one for one in status.get("storages") or [] if one.get("name") == storage), {})
    if conditions.is_true(repository, "Ready") or entry.get("ready"):
        return ""
    if entry.get("reachable") is False:
        return f"storage {storage}: {entry.get('message') or 'it cannot be read'}"
    found = conditions.find(status.get("conditions", []), "Ready")
    return str(found["message"]) if found else "the Repository has not been checked yet"
