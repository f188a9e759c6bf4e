"""Conditions as KEP-1623 has them: a time changes only with the status."""

from __future__ import annotations

from datetime import datetime

from pgwarden.api import outside
from pgwarden.api.objects import Object


def timestamp(now: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as metav1.Time is written."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def put(
    conditions: list[Object],
    kind: str,
    status: bool | None,
    reason: str,
    message: str,
    *,
    now: datetime,
    generation: int,
) -> list[Object]:
    """*conditions* with this one set. *status* None is Unknown."""
    word = {True: "True", False: "False", None: "Unknown"}[status]
    before = find(conditions, kind)
    same = before is not None and before["status"] == word
    new = {
        "type": kind,
        "status": word,
        "reason": reason,
        "message": outside.printable(message)[:32768],
        "observedGeneration": generation,
        "lastTransitionTime": before["lastTransitionTime"] if before and same else timestamp(now),
    }
    if before is None:
        return [*conditions, new]
    return [new if one["type"] == kind else one for one in conditions]


def without(conditions: list[Object], kind: str) -> list[Object]:
    return [one for one in conditions if one["type"] != kind]


def find(conditions: list[Object], kind: str) -> Object | None:
    return next((one for one in conditions if one["type"] == kind), None)


def is_true(obj: Object, kind: str) -> bool:
    found = find(obj.get("status", {}).get("conditions", []), kind)
    return found is not None and found["status"] == "True"
