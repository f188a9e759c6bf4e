"""Whether the backups of a schedule are kept for as long as it and its Repository say: a condition, where it says so
itself. Pure.

Admission refuses numbers that another backup would undo (pgwarden.rules.retention). A schedule that stood before that
rule, or whose Repository came past the webhook, goes on: without its backups more would be lost.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgwarden.api.faults import Waits
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.rules import retention

CONDITION = "RetentionHolds"
UNDONE, SHORTER = Waits.RETENTION_UNDONE.value, Waits.RETENTION_SHORTER.value
MOST = 3  # conflicts that the message tells


def verdict(schedule: Object, repository: Object | None, others: Iterable[Object]) -> tuple[bool, str, str] | None:
    """Status, reason and message; None where the schedule has no numbers of its own, or no Repository."""
    if repository is None or not get(schedule, list, "spec", "options"):  # most schedules: nothing is parsed for them
        return None
    if not retention.of_backups(repository, schedule).given:
        return None
    makers = retention.active(others)[: retention.MOST]
    undone = list(dict.fromkeys(retention.undone(repository, schedule, makers)))
    found = undone or list(retention.shorter(repository, schedule))
    if not found:
        return True, "Kept", "no other backup of its Repository expires what this schedule keeps"
    more = f"; and {len(found) - MOST} more" if len(found) > MOST else ""
    return False, UNDONE if undone else SHORTER, "; ".join(found[:MOST]) + more
