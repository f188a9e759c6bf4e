"""What of a new status of a PostgresCluster is worth an Event. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from controller import admission
from controller.cluster import clone, collations, report
from controller.runtime import conditions
from pgwarden.api.objects import Object

#: Conditions whose turns are told whatever the reason.
_TOLD_AS_THEY_TURN = frozenset({"Ready", "BackedUp"})


class News(NamedTuple):
    good: bool
    reason: str
    message: str


def of(before: Object, after: Object) -> Iterator[News]:
    """*before* and *after* are statuses."""
    for one in after["conditions"]:
        old = conditions.find(before.get("conditions", []), one["type"])
        if not _is_told(one, old):
            continue
        rejected = one["type"] == admission.REJECTED
        good = one["status"] == "True" and not rejected and one["reason"] not in report.LACKS
        yield News(good, admission.REJECTED if rejected else one["reason"], one["message"])
    primary, was = after.get("primary"), before.get("primary")
    if primary and was and primary != was:
        yield News(True, "NewPrimary", f"{primary} is the primary, after {was}")


def _is_told(new: Object, old: Object | None) -> bool:
    other = old is None or old["reason"] != new["reason"]
    if new["type"] in _TOLD_AS_THEY_TURN and old is not None and old["status"] != new["status"]:
        return True
    always = new["type"] in {admission.REJECTED, collations.CONDITION}
    return other and (always or new["reason"] in report.LACKS | clone.FINAL)
