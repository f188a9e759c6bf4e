"""Why a schedule missed a run, from the reason in its status. Pure."""

from __future__ import annotations

from typing import Any

_WORDS = {
    "Suspended": "the schedule was suspended",
    "CaughtUpByLaterRun": "a later run took its place",
    "StartingDeadlineExceeded": "it would have started later than spec.startingDeadlineSeconds allows",
    "PreviousBackupNotOver": "Backup {} of an earlier run was still going on",
    "PreviousDrillNotOver": "RestoreDrill {} of an earlier run was still going on",
}


def in_words(reason: Any) -> str:
    """A reason that is not known is shown as it is."""
    name, _, detail = str(reason or "").partition(":")
    words = _WORDS.get(name)
    if words is None:
        return str(reason or "no reason is known")
    return words.format(detail)
