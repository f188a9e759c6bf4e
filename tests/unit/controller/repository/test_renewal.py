"""A full backup that is owed: what is remembered, what pays it, and when it is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.repository import renewal
from controller.repository.renewal import BackUp, Debt, Wait
from pgwarden.api import numbered_backups

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
REPOSITORY = {"metadata": {"name": "hippo", "namespace": "ns", "uid": "r-1"}, "spec": {"storageType": "local,s3"}}
DEBT = Debt("local", "BackupsLost", "storage local no longer holds its 3 backups", NOON)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def stamp(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def backup(number: int, phase: str = "Failed", minutes: float = 1, **spec: Any) -> dict[str, Any]:
    """Created at noon and *minutes*, over a minute later where it is over."""
    over = {"completionTime": stamp(at(minutes + 1))} if phase in {"Failed", "Completed"} else {}
    return {
        "kind": "Backup",
        "metadata": {
            "name": numbered_backups.renewal_backup("hippo", "local", NOON, number),
            "uid": f"u-{number}",
            "creationTimestamp": stamp(at(minutes)),
        },
        "spec": {"repository": "hippo", "type": "full", "storage": "local"} | spec,
        "status": {"phase": phase} | over,
    }


def plan(*backups: dict[str, Any], minutes: float = 0, hindrance: str = "", debt: Debt = DEBT) -> BackUp | Wait:
    hindrances = {"local": hindrance} if hindrance else {}
    (found,) = renewal.plan(REPOSITORY, [debt], backups, hindrances, at(minutes))
    return found


@pytest.mark.parametrize(
    ("full", "owed"),
    [
        ({}, True),
        ({"s3": at(5)}, True),
        ({"local": at(-5)}, True),
        ({"local": at(0)}, False),
        ({"local": at(5)}, False),
    ],
    ids=["no full backup", "one in the other storage", "an older one", "one that began then", "a newer one"],
)
def test_a_debt_is_paid_by_a_full_backup_in_its_storage_that_began_after_it(full, owed):
    remembered = {renewal.FIELD: [DEBT.entry()]}
    assert renewal.standing(remembered, [], full) == ([DEBT] if owed else [])
    assert renewal.standing({}, [DEBT], full) == ([DEBT] if owed else [])


def test_of_two_debts_of_a_storage_the_later_one_stands():
    hole = Debt("local", "WALMissing", "a segment is missing", at(3))
    assert renewal.standing({renewal.FIELD: [DEBT.entry()]}, [hole], {}) == [hole]
    assert renewal.standing({renewal.FIELD: [hole.entry()]}, [DEBT], {}) == [hole]


@pytest.mark.parametrize("entry", [{}, {"storage": "local", "since": "soon"}, {"storage": 3, "since": stamp(NOON)}])
def test_what_the_status_does_not_say_properly_is_not_owed(entry):
    assert renewal.standing({renewal.FIELD: [entry]}, [], {}) == []


def test_the_backup_that_is_asked_for_is_a_full_one_in_the_storage():
    asked = plan()
    assert isinstance(asked, BackUp)
    made = renewal.backup(REPOSITORY, asked)
    assert made["metadata"]["name"] == "hippo-renewal-local-20261128120000"
    assert made["spec"] == {"repository": "hippo", "type": "full", "storage": "local"}


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (backup(1, "Running"), "waiting for Backup hippo-renewal-local-20261128120000"),
        (backup(1, "Completed"), "Backup hippo-renewal-local-20261128120000 is complete; the Repository will list it"),
        (backup(1), "it has failed; it is tried again at 2026-11-28T12:03:00Z"),
    ],
    ids=["one runs", "one is complete", "one has failed"],
)
def test_one_backup_at_a_time_is_asked_for(there, said):
    assert plan(there, minutes=2) == Wait(DEBT, said)


def test_anybodys_full_backup_that_runs_there_is_waited_for():
    mine = backup(1, "Running")
    mine["metadata"]["name"] = "nightly"
    assert plan(mine) == Wait(DEBT, "waiting for Backup nightly")
    assert isinstance(plan(backup(1, "Running", storage="s3")), BackUp)
    assert isinstance(plan(mine | {"spec": mine["spec"] | {"type": "incr"}}), BackUp)


def test_it_waits_for_its_storage():
    assert plan(hindrance="it is full") == Wait(DEBT, "it begins once storage local is ready: it is full")


def test_what_fails_is_tried_less_and_less_often_and_few_of_the_failed_stay():
    failed: list[dict[str, Any]] = []
    minutes, pauses = 0.0, []
    for _ in range(9):
        asked = plan(*failed, minutes=minutes)
        assert isinstance(asked, BackUp), asked
        gone = {name for name, _ in asked.expendable}
        failed = [one for one in failed if one["metadata"]["name"] not in gone]
        failed.append(backup(len(pauses) + 1, minutes=minutes))
        began, minutes = minutes, minutes + 1
        while isinstance(plan(*failed, minutes=minutes), Wait):
            minutes += 1
        pauses.append(minutes - began)
        assert len(failed) <= renewal.KEPT_FAILED
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 60, "the number of a name is how often it was tried, and only three are left to count"


def test_the_status_says_how_often_it_has_failed_and_when_it_is_tried_again():
    (plain,) = renewal.entries(REPOSITORY, [DEBT], [], at(0))
    assert plain == DEBT.entry()
    (failed,) = renewal.entries(REPOSITORY, [DEBT], [backup(3)], at(3))
    assert failed == plain | {"failedAttempts": 3, "nextTryTime": stamp(at(6))}
    assert renewal.entries(REPOSITORY, [DEBT], [backup(3, "Running")], at(3)) == [plain]
    remembered = renewal.standing({renewal.FIELD: [failed]}, [], {})
    assert remembered == [DEBT]


def test_a_new_debt_is_a_new_series():
    asked = plan(backup(1, "Completed"), minutes=60, debt=Debt("local", "BackupsLost", "again", at(60)))
    assert isinstance(asked, BackUp)
    assert asked.name == "hippo-renewal-local-20261128130000"


@pytest.mark.parametrize("end", ["-0", "-01", "-", "-x", "2"])
def test_what_is_not_named_as_a_renewal_is_none(end):
    name = numbered_backups.renewal_backup("hippo", "local", NOON)
    assert numbered_backups.renewal_attempt("hippo", "local", NOON, name + end) == 0
    assert numbered_backups.renewal_attempt("hippo", "s3", NOON, name) == 0
    assert (
        numbered_backups.renewal_attempt(
            "hippo", "local", NOON, numbered_backups.renewal_backup("hippo", "local", NOON, 12)
        )
        == 12
    )


def test_its_name_fits_a_label():
    assert len(numbered_backups.renewal_backup("h" * 52, "local", NOON, 99_999)) <= 63
