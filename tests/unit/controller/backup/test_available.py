"""Which sets are lost between two statuses of a Repository, and who is said to have expired them."""

from __future__ import annotations

import pytest

from pgwarden.controller.backup.available import lost, why_gone
from pgwarden.controller.repository.report import LISTED_BACKUPS


def listed(*numbers: int) -> dict:
    """A status that lists sets by number; a higher one ended later."""
    return {"backups": [{"label": f"{n:03}F", "repo": 1, "stopTime": f"2026-11-23T00:{n:03}Z"} for n in numbers]}


LOSSES = {
    "nothing known before": ({}, listed(1, 2), set()),
    "all still there": (listed(1, 2), listed(1, 2, 3), set()),
    "the oldest expired": (listed(1, 2), listed(2, 3), {("001F", 1)}),
    "the newest expired": (listed(1, 2), listed(1), {("002F", 1)}),
    "all expired": (listed(1, 2), {"backups": []}, {("001F", 1), ("002F", 1)}),
    "one that only fell off the end of the list": (
        listed(*range(LISTED_BACKUPS)),
        listed(*range(1, LISTED_BACKUPS + 1)),
        set(),
    ),
    "one from the middle of a full list": (
        listed(*range(1, LISTED_BACKUPS + 1)),
        listed(*range(7), *range(8, LISTED_BACKUPS + 1)),
        {("007F", 1)},
    ),
}


@pytest.mark.parametrize(("before", "after", "gone"), LOSSES.values(), ids=LOSSES)
def test_what_was_listed_and_is_not_is_lost(before, after, gone):
    assert lost(before, after) == gone


def backup(name: str, label: str, *expired: str) -> dict:
    return {"metadata": {"name": name}, "status": {"label": label, "repo": 1, "expired": list(expired)}}


def test_the_backup_whose_retention_expired_a_set_is_named():
    first = backup("first", "001F")
    others = [first, backup("second", "002F"), backup("third", "003F", "001F")]
    assert why_gone(first, others) == "set 001F was expired by the retention, after Backup third"
    assert why_gone(first, others[:2]) == "set 001F is no longer in the repository"
