"""Reading objects whose shape nobody has checked."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from pgwarden.api.objects import Object
from pgwarden.api.target import TargetError, parse_time

T = TypeVar("T")


def get(obj: Any, kind: type[T], *path: str) -> T | None:
    """The value at *path* where it is of *kind*; None where anything on the way is missing or something else."""
    for part in path:
        if not isinstance(obj, dict):
            return None
        obj = obj.get(part)
    if type(obj) is kind:
        return obj
    # bool is an int to Python, never to a user.
    if isinstance(obj, kind) and not (isinstance(obj, bool) and kind is not bool):
        return obj
    return None


def objects(obj: Any, *path: str) -> list[Object]:
    """The objects in the list at *path*."""
    return [entry for entry in get(obj, list, *path) or [] if isinstance(entry, dict)]


def moment(text: Any) -> datetime | None:
    """A time in a status; None where it is none."""
    try:
        return parse_time(text) if isinstance(text, str) else None
    except TargetError:
        return None


def condition(obj: Any, kind: str) -> str:
    """The status of a condition: True, False, Unknown, or empty where there is none."""
    return str(found_condition(obj, kind).get("status", ""))


def found_condition(obj: Any, kind: str) -> Object:
    """The condition itself; empty where there is none."""
    return next((entry for entry in objects(obj, "status", "conditions") if entry.get("type") == kind), {})


def is_going(obj: Object | None) -> bool:
    """Whether it is being deleted: it goes as soon as nothing holds it any more."""
    return obj is not None and "deletionTimestamp" in obj["metadata"]
