"""Whose turn it is on a stanza, and how a Job ended by what its pods left."""

from __future__ import annotations

import json

import pytest

from controller import jobs, operations, pods
from pgwarden.contract.job_result import JobResult


def operation(kind: str, name: str, phase: str = "", minute: int = 0, labels: dict | None = None, **status):
    metadata = {"name": name, "uid": f"{kind}-{name}", "creationTimestamp": f"2026-11-23T10:{minute:02}:00Z"}
    return {"kind": kind, "metadata": metadata | {"labels": labels or {}}, "status": {"phase": phase} | status}


def test_what_runs_holds_the_stanza_and_of_those_that_wait_a_restore_goes_first_then_the_oldest():
    old, middle = operation("Backup", "old", minute=1), operation("Backup", "middle", minute=2)
    early, late = operation("Restore", "early", minute=3), operation("Restore", "late", minute=4)
    running = operation("Backup", "running", "Running", minute=9)
    assert operations.holder([middle, old]) is old
    assert operations.holder([late, early, middle, old]) is early
    assert operations.holder([early, running, old]) is running
    assert operations.may_run(early, [late, early, middle, old])
    assert not operations.may_run(old, [early, old])
    assert operations.holder([]) is None


def restore_with(reason: str, phase: str = "Pending", **status) -> dict:
    return operation("Restore", "r", phase, minute=9, reason=reason, **status)


def backup_with(reason: str, phase: str = "Pending", **status) -> dict:
    return operation("Backup", "b", phase, minute=1, reason=reason, **status)


#: One operation, another, and who of the two may begin when it looks.
TWO = [
    pytest.param(backup_with("NoPrimary"), operation("Restore", "r"), "r", id="a backup without a primary"),
    pytest.param(backup_with("RepositoryNotReady"), operation("Restore", "r"), "r", id="a backup without its storage"),
    pytest.param(backup_with("WaitingForTurn"), restore_with("Waiting"), "r", id="both wait for their turn"),
    pytest.param(backup_with(""), operation("Restore", "r"), "r", id="nobody has looked yet"),
    pytest.param(backup_with("WaitingForTurn"), restore_with("NoPod"), "br", id="a restore without a pod"),
    pytest.param(backup_with(""), restore_with("StorageNotReadable"), "br", id="a restore without its storage"),
    pytest.param(backup_with("NoPrimary"), restore_with("PodNotInjected"), "br", id="neither could when it looked"),
    pytest.param(backup_with("JobWaits", "Running"), restore_with("Waiting"), "b", id="a backup runs, and stands"),
    pytest.param(backup_with("ReadingInfo", "Running"), restore_with("Waiting"), "r", id="its job is over"),
    pytest.param(backup_with(""), restore_with("Recovering", "Running", plan="{}"), "r", id="a restore runs"),
    pytest.param(backup_with(""), restore_with("PlanUnreadable", plan="?"), "r", id="another version has begun it"),
]


@pytest.mark.parametrize(("backup", "restore", "may"), TWO)
def test_one_that_could_not_begin_holds_nobody_up(backup: dict, restore: dict, may: str):
    both = [backup, restore]
    assert "".join(o["metadata"]["name"] for o in both if operations.may_run(o, both)) == may


def test_of_many_that_could_begin_exactly_one_does_whoever_looks_and_in_whatever_order():
    many = [operation("Backup", f"b{n}", minute=n, reason="WaitingForTurn") for n in range(20)]
    many += [operation("Restore", f"r{n}", minute=30 + n, reason="Waiting") for n in range(5)]
    stuck = [operation("Restore", f"stuck{n}", minute=n, reason="NoPod") for n in range(5)]
    begun = [o["metadata"]["name"] for o in many if operations.may_run(o, [*reversed(many), *stuck])]
    assert begun == ["r0"]


def asked(reason: str, phase: str = "Pending") -> dict:
    labels = {"pgwarden.io/restore": "r"}
    return operation("Backup", "r-after", phase, minute=10, labels=labels, reason=reason)


def test_a_restore_whose_backup_afterwards_waits_for_its_storage_holds_nobody_up_until_that_begins():
    last = restore_with("Running", "Running", plan="{}", step="BackedUp", startTime="2026-11-23T10:09:00Z")
    nightly, other = operation("Backup", "nightly", minute=1), operation("Restore", "other", minute=20)
    assert operations.may_run(other, [last, asked("RepositoryNotReady"), nightly, other])
    assert not operations.may_run(other, [last, asked("WaitingForTurn"), nightly, other])
    assert not operations.may_run(other, [last, asked("JobRuns", "Running"), nightly, other])
    begun = operation("Restore", "other", "Running", minute=20, plan="{}", reason="Fencing")
    for said in ("RepositoryNotReady", "WaitingForTurn"):
        assert not operations.may_run(asked(said), [last, asked(said), begun])
    over = operation("Restore", "other", "Completed", minute=20, plan="{}")
    assert operations.may_run(asked("RepositoryNotReady"), [last, asked("RepositoryNotReady"), over])


def test_the_backup_of_an_earlier_restore_of_the_name_does_not_run_in_the_midst_of_this_one():
    runs = operation("Restore", "r", "Running", minute=9, plan="{}")
    earlier = operation("Backup", "r-after", minute=8, labels={"pgwarden.io/restore": "r"})
    assert not operations.may_run(earlier, [runs, earlier])


def test_who_waits_behind_one_that_runs_is_told_what_that_does_and_the_way_out():
    stands = backup_with("JobWaits", "Running", startTime="2026-11-23T10:01:00Z", message="Job b-backup: no node fits")
    title, more = operations.standing(restore_with("Waiting"), [stands, restore_with("Waiting")])
    assert title == "Backup b"
    assert more == (
        "; it runs since 2026-11-23T10:01:00Z (JobWaits: Job b-backup: no node fits). Delete it if you cannot wait"
    )
    assert operations.standing(backup_with(""), [backup_with(""), operation("Restore", "r")]) == ("Restore r", "")


def test_what_is_over_refused_or_being_deleted_holds_up_nobody():
    over = [operation("Backup", "c", "Completed"), operation("Backup", "f", "Failed")]
    refused = operation("Backup", "r", conditions=[{"type": "Rejected", "status": "True"}])
    leaving = operation("Backup", "d")
    leaving["metadata"]["deletionTimestamp"] = "2026-11-23T10:00:00Z"
    waits = operation("Backup", "w", minute=30)
    assert operations.holder([*over, refused, leaving, waits]) is waits


def expiring(name: str, minute: int, **status):
    found = operation("Backup", name, "Completed", **status)
    leaving = {"deletionTimestamp": f"2026-11-23T10:{minute:02}:00Z", "finalizers": ["pgwarden.io/expire"]}
    return found | {"metadata": found["metadata"] | leaving}


def test_the_expiry_of_a_deleted_backups_set_takes_its_turn_as_well():
    """It is as old as its deletion, and holds the stanza while its Job runs."""
    early, late = operation("Backup", "early", minute=4), operation("Backup", "late", minute=6)
    waits = expiring("gone", 5)
    assert operations.holder([late, waits, early]) is early
    assert operations.holder([late, waits]) is waits
    assert operations.may_run(waits, [late, waits])
    runs = expiring("gone", 59, reason="Expiring")
    assert operations.holder([early, late, runs]) is runs
    assert operations.title(runs) == "the expiry of the set of Backup gone"
    assert not operations.may_run(early, [early, runs])


@pytest.mark.parametrize(
    ("reason", "holds"),
    [
        ("WaitingForTurn", True),
        *((one, False) for one in ("Completed", "JobRuns", "Record", "RepositoryNotReady", "RepositoryNotReachable")),
        *((one, False) for one in ("StoppingJob", "JobRefused")),
    ],
)
def test_an_expiry_holds_younger_ones_up_only_once_it_waits_for_its_turn(reason: str, holds: bool):
    old, younger = expiring("gone", 5, reason=reason), operation("Backup", "younger", minute=6)
    assert operations.may_run(younger, [old, younger]) is not holds
    assert operations.may_run(old, [old, younger])


def test_the_backup_that_a_restore_has_asked_for_runs_in_its_turn():
    restore = operation("Restore", "r", "Running")
    asked = operation("Backup", "r-after", labels={"pgwarden.io/restore": "r"}, minute=5)
    other = operation("Backup", "other", minute=1)
    assert operations.may_run(asked, [restore, asked, other])
    assert not operations.may_run(other, [restore, asked, other])


def job(**conditions: str):
    return {
        "status": {
            "conditions": [{"type": k, "status": v, "reason": "R", "message": "m"} for k, v in conditions.items()]
        }
    }


@pytest.mark.parametrize(
    ("conditions", "ended", "failure"),
    [
        ({}, "", ""),
        ({"Complete": "True"}, "Complete", ""),
        ({"Failed": "True"}, "Failed", "R: m"),
        ({"Failed": "False", "Suspended": "True"}, "", ""),
        ({"FailureTarget": "True"}, "", ""),
    ],
)
def test_how_a_job_ended(conditions, ended, failure):
    assert (jobs.finished(job(**conditions)), jobs.failure(job(**conditions))) == (ended, failure)


def pod(message: str, at: str, *, last: bool = False):
    state = {"terminated": {"message": message, "finishedAt": at}}
    return {"metadata": {"name": "p"}, "status": {"containerStatuses": [{"lastState" if last else "state": state}]}}


def test_the_latest_pod_that_left_a_result_is_believed():
    early, late = (
        pod(json.dumps({"ok": False}), "2026-11-23T10:00:00Z"),
        pod(json.dumps({"ok": True}), "2026-11-23T11:00:00Z"),
    )
    killed = pod("", "2026-11-23T12:00:00Z")
    torn = pod('{"ok": tr', "2026-11-23T13:00:00Z")
    listed = pod('["ok"]', "2026-11-23T14:00:00Z")
    for order in ([early, late, killed, torn, listed], [listed, torn, killed, late, early]):
        assert jobs.result(order) == JobResult(ok=True)
    assert jobs.result([pod(json.dumps({"ok": False}), "x", last=True)]) == JobResult(ok=False)
    assert jobs.result([]) is None


def test_why_a_pod_does_not_start_is_told_in_kubernetes_words():
    unschedulable = {
        "metadata": {"name": "p"},
        "status": {"conditions": [{"type": "PodScheduled", "status": "False", "message": "no node"}]},
    }
    assert "no node" in pods.waiting_reason([unschedulable])

    def waiting(reason):
        return {
            "metadata": {"name": "p"},
            "status": {"containerStatuses": [{"state": {"waiting": {"reason": reason, "message": "m"}}}]},
        }

    assert "ErrImagePull" in pods.waiting_reason([waiting("ErrImagePull")])
    assert pods.waiting_reason([waiting("ContainerCreating")]) == ""
