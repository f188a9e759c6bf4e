"""Whose turn it is on a stanza, and how a Job ended by what its pods left."""

from __future__ import annotations

import json

import pytest

from pgwarden.controller import jobs, operations, pods


def operation(kind: str, name: str, phase: str = "", minute: int = 0, labels: dict | None = None, **status):
    metadata = {"name": name, "uid": f"{kind}-{name}", "creationTimestamp": f"2026-11-23T10:{minute:02}:00Z"}
    return {"kind": kind, "metadata": metadata | {"labels": labels or {}}, "status": {"phase": phase} | status}


def test_one_that_runs_keeps_the_stanza_and_else_the_oldest_gets_it():
    old, new = operation("Backup", "old", minute=1), operation("Restore", "new", minute=2)
    running = operation("Backup", "running", "Running", minute=9)
    assert operations.holder([new, old]) is old
    assert operations.holder([new, running, old]) is running
    assert operations.may_run(old, [new, old])
    assert not operations.may_run(new, [new, old])
    assert operations.holder([]) is None


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
        assert jobs.result(order) == {"ok": True}
    assert jobs.result([pod(json.dumps({"ok": False}), "x", last=True)]) == {"ok": False}
    assert jobs.result([]) == {}


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
