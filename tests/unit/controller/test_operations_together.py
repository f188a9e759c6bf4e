"""Several Restores and their Backups on one stanza: in whatever state they meet, somebody goes on, and one at a time."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from controller import operations
from pgwarden.api import names

Object = dict[str, Any]
#: What the Backup of a Restore at BackedUp may say before it begins; None: it is not there yet.
BEFORE = (None, "", "WaitingForTurn", "RepositoryNotReady", "NoPrimary", "JobRefused")
#: A Restore: not begun, at work, or at its last step with its Backup in one of these states.
STATES = ("waits", "cannot", "works", "runs", *BEFORE)


def restore(name: str, minute: int, **status: Any) -> Object:
    metadata = {"name": name, "uid": name, "creationTimestamp": f"2026-11-23T10:{minute:02}:00Z"}
    return {"kind": "Restore", "metadata": metadata, "status": status}


def after(name: str, minute: int, **status: Any) -> Object:
    metadata = {"name": f"{name}-after", "uid": f"{name}-after", "labels": {names.LABEL_RESTORE: name}}
    metadata["creationTimestamp"] = f"2026-11-23T10:{minute:02}:00Z"
    return {"kind": "Backup", "metadata": metadata, "status": status}


def world(states: tuple[str | None, ...], minutes: tuple[int, ...]) -> list[Object]:
    """Restores of these states, the Backups afterwards made at *minutes*, and a Backup of a schedule."""
    found: list[Object] = []
    for number, (state, minute) in enumerate(zip(states, minutes, strict=True)):
        name = f"r{number}"
        begun = {"phase": "Running", "plan": "{}", "reason": "Running", "step": "BackedUp"}
        if state in {"waits", "cannot"}:
            found.append(restore(name, number, phase="Pending", reason="NoPod" if state == "cannot" else "Waiting"))
        elif state == "works":
            found.append(restore(name, number, **(begun | {"step": "Restored"})))
        else:
            found.append(restore(name, number, **begun))
            if state == "runs":
                found.append(after(name, minute, phase="Running", reason="JobRuns"))
            elif state is not None:
                found.append(after(name, minute, phase="Pending", reason=state))
    nightly = {"name": "nightly", "uid": "nightly", "creationTimestamp": "2026-11-23T09:00:00Z"}
    return [*found, {"kind": "Backup", "metadata": nightly, "status": {"phase": "Pending", "reason": "WaitingForTurn"}}]


def at_work(states: tuple[str | None, ...]) -> int:
    return sum(state in {"works", "runs"} for state in states)


def waiting(found: list[Object]) -> list[Object]:
    return [one for one in found if one["status"]["phase"] == "Pending"]


@pytest.mark.parametrize("many", [2, 3])
def test_somebody_can_always_go_on_and_at_most_one_begins(many: int):
    for states in itertools.product(STATES, repeat=many):
        if at_work(states) > 1:
            continue  # these two do not meet
        for order in itertools.permutations(range(10, 10 + many)):
            found = world(states, order)
            begin = [one for one in waiting(found) if operations.may_run(one, found)]
            # A Restore at its last step without a Backup makes it: that goes on as well.
            assert begin or at_work(states) or None in states, (states, order)
            assert not (begin and at_work(states)), (states, order)
            for one in begin:
                one["status"] = {"phase": "Running", "plan": "{}", "reason": "JobRuns", "step": "Fenced"}
                more = [o["metadata"]["name"] for o in waiting(found) if operations.may_run(o, found)]
                assert more == [], (states, order, one["metadata"]["name"])
                one["status"] = {"phase": "Pending", "reason": "WaitingForTurn"}


@pytest.mark.parametrize("order", list(itertools.permutations((10, 11, 12))))
def test_all_backups_that_wait_at_once_run_one_after_the_other_the_oldest_restores_first(order: tuple[int, ...]):
    found = world(("WaitingForTurn",) * 3, order)
    for number in range(3):
        (first,) = [one for one in waiting(found) if operations.may_run(one, found)]
        assert first["metadata"]["name"] == f"r{number}-after"
        first["status"] = {"phase": "Completed"}
        found[[one["metadata"]["name"] for one in found].index(f"r{number}")]["status"] = {"phase": "Completed"}
    assert [one["metadata"]["name"] for one in waiting(found) if operations.may_run(one, found)] == ["nightly"]


@pytest.mark.parametrize(
    ("reason", "may"),
    [
        *(("RepositoryNotReady", True), ("JobRefused", True)),
        *((one, False) for one in ("NoPrimary", "JobGoing", "JobInTheWay", "RepositoryNotReachable", "NoRepository")),
    ],
)
def test_a_restore_stands_aside_only_for_what_may_take_long(reason: str, may: bool):
    found = [*world((reason,), (10,)), restore("other", 20, phase="Pending", reason="Waiting")]
    assert operations.may_run(found[-1], found) is may
