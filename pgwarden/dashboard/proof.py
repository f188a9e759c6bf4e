"""What the restore drills of a Repository have proven, by condition Proven and `status.lastDrills`. Pure.

A Repository without either says nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pgwarden.api.objects import Object
from pgwarden.api.reading import condition, get, moment
from pgwarden.contract import last_drills
from pgwarden.dashboard.words import When, lasted, when

#: Condition → what the table says.
_WORDS = {"True": "proven", "False": "FAILED", "Unknown": "not yet"}


@dataclass(frozen=True)
class Proof:
    """`state` is True, False, Unknown, or empty where no drill is told of. The others are of the last that passed."""

    state: str
    word: str
    at: When | None = None
    drill: str = ""
    took: str = ""


def of(repository: Object, drills: Sequence[Object], now: datetime) -> Proof:
    """*drills* are the RestoreDrills that are there, for a controller that keeps no list."""
    state = condition(repository, last_drills.CONDITION)
    listed = last_drills.of(repository) or _by_objects(drills)
    newest = max(listed, key=lambda one: str(one.get("endedAt") or ""), default=None)
    passed = list(filter(last_drills.passed, listed))
    shown = max(passed, key=lambda one: str(one.get("endedAt") or ""), default=None)
    if newest is not None:
        state = state or ("True" if last_drills.passed(newest) else "False")
    if shown is None:
        return Proof(state, _WORDS.get(state, ""))
    return Proof(
        state=state,
        word=_WORDS.get(state, ""),
        at=when(moment(shown.get("endedAt")), now),
        drill=str(shown.get("name") or ""),
        took=lasted(get(shown, int, "seconds")),
    )


def _by_objects(drills: Sequence[Object]) -> list[Object]:
    return [
        {
            "name": one["metadata"]["name"],
            "endedAt": get(one, str, "status", "completionTime"),
            "phase": get(one, str, "status", "phase"),
        }
        for one in drills
        if get(one, str, "status", "phase") in {"Completed", "Failed"}
    ]
