"""The steps after the volumes are swapped: Recovered, BackedUp."""

from __future__ import annotations

import copy
from dataclasses import replace

import msgspec
import pytest

from controller.restore import steps_finish
from controller.restore.facts import RestoreFacts
from pgwarden.api import names
from pgwarden.contract import calls
from pgwarden.contract.calls import Outcome
from pgwarden.contract.status import Status
from tests.unit.controller.restore.steps.situations import RESTORE, said


def with_postgres(facts: RestoreFacts, postgres=None, status=None, started="2026-11-23T12:00:00Z") -> RestoreFacts:
    facts = copy.deepcopy(facts)
    pod = next(p for p in facts.pods if p["metadata"]["name"] == "pg-0")
    pod["status"]["containerStatuses"] = [{"name": "postgres"} | (status or {})]
    condition = {"type": "Started", "status": "True", "reason": "Started", "message": "", "lastTransitionTime": started}
    return replace(
        facts,
        agent=msgspec.convert({"postgres": postgres or {}}, Status),
        restore=RESTORE | {"status": {"conditions": [condition]}},
    )


def terminated(message, restarts=1):
    return {"restartCount": restarts, "lastState": {"terminated": {"exitCode": 1, "message": message}}}


@pytest.mark.parametrize(
    ("postgres", "status", "started", "verdict", "words"),
    [
        ({"reachable": True, "inRecovery": True, "lastReplayTime": "2026-11-23T11:00:00Z"}, {}, "2026-11-23T12:00:00Z", ("wait", "Recovering"), "now at 2026-11-23T11:00:00Z"),
        ({"reachable": False, "error": "starting up"}, {}, "2026-11-23T12:00:00Z", ("wait", "Recovering"), "starting up"),
        ({"reachable": True, "inRecovery": False}, {}, "2026-11-23T12:00:00Z", ("act", "Recovered"), "recovery target"),
        ({"reachable": False}, {}, "2026-11-23T10:00:00Z", ("fail", "RecoveryTimeout"), "within 3600 s"),
        ({"reachable": True, "inRecovery": False}, {}, "2026-11-23T10:00:00Z", ("act", "Recovered"), ""),
        ({}, terminated("FATAL:  recovery ended before configured recovery target was reached"), "2026-11-23T12:00:00Z", ("fail", "RecoveryFailed"), "recovery ended before"),
        ({}, terminated("FATAL:  the database system is starting up"), "2026-11-23T12:00:00Z", ("wait", "Recovering"), ""),
        ({}, terminated(""), "2026-11-23T12:00:00Z", ("wait", "Recovering"), ""),
        ({}, terminated("", 3), "2026-11-23T12:00:00Z", ("fail", "RecoveryFailed"), "ended 3 times during recovery, last with exit code 1"),
    ],
)  # fmt: skip
def test_recovered(planned, postgres, status, started, verdict, words):
    found = steps_finish.recovered(with_postgres(planned, postgres, status, started))
    assert said(found) == verdict
    assert words in found.message


def test_the_last_replay_time_seen_is_kept(planned):
    facts = with_postgres(planned, {"reachable": True, "inRecovery": True, "lastReplayTime": "2026-11-23T11:00:00Z"})
    plan = steps_finish.recovered(facts).plan
    over = with_postgres(
        replace(planned, plan=plan), {"reachable": True, "inRecovery": False, "timeline": 3, "lastReplayTime": None}
    )
    found = steps_finish.recovered(replace(over, answers={calls.CLEAR_RECOVERY: Outcome(ok=True)}))
    assert found.status == {"timeline": 3, "recoveredTo": "2026-11-23T11:00:00Z"}


@pytest.mark.parametrize(
    ("created", "status", "verdict"),
    [
        ("2026-11-23T12:00:05Z", {}, ("wait", "Running")),
        ("2026-11-23T12:00:05Z", {"phase": "Running"}, ("wait", "Running")),
        ("2026-11-23T12:00:05Z", {"phase": "Completed"}, ("done", "BackedUp")),
        ("2026-11-23T12:00:05Z", {"phase": "Failed"}, ("done", "BackupFailed")),
        ("2026-11-22T12:00:05Z", {"phase": "Completed"}, ("done", "BackupFailed")),
    ],
)
def test_backed_up(planned, created, status, verdict):
    backup = {"metadata": {"name": "back-after", "creationTimestamp": created}, "status": status}
    assert said(steps_finish.backed_up(replace(planned, backup=backup))) == verdict


def test_the_backup_that_is_asked_for(planned):
    action = steps_finish.backed_up(planned).action
    assert (action.plural, action.body["spec"]) == ("backups", {"repository": "hippo", "type": "full"})
    assert action.body["metadata"]["labels"][names.LABEL_RESTORE] == "back"
    assert "ownerReferences" not in action.body["metadata"]
