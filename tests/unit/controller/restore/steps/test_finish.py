"""The steps after the volumes are swapped: Started, BackedUp."""

from __future__ import annotations

import copy
from dataclasses import replace

import msgspec
import pytest

from controller.restore import steps_finish
from controller.restore.facts import RestoreFacts
from pgwarden.api import names
from pgwarden.contract.status import Status
from tests.unit.controller.restore.steps.situations import RESTORE, merged, said


def bound(facts: RestoreFacts, claim: str, volume: str):
    """The claim, and what says so on its volume."""
    status = {"phase": "Bound"}
    made = {"metadata": {"name": claim, "uid": f"u-{claim}"}, "spec": {"volumeName": volume}, "status": status}
    reference = {"namespace": "ns", "name": claim, "uid": f"u-{claim}"}
    return made, merged(facts.volumes[volume], {"spec": facts.volumes[volume]["spec"] | {"claimRef": reference}})


def swapped_over(facts: RestoreFacts, *, kept: bool = True) -> RestoreFacts:
    """The user's claim on the restored volume; the old one under its own claim, or not yet."""
    claims, volumes = {}, dict(facts.volumes)
    claims["data-pg-0"], volumes["pv-new"] = bound(facts, "data-pg-0", "pv-new")
    if kept:
        claims["data-pg-0-before-back"], volumes["pv-old"] = bound(facts, "data-pg-0-before-back", "pv-old")
    return replace(facts, claims=claims, volumes=volumes)


def with_postgres(facts: RestoreFacts, postgres=None, status=None, swapped="2026-11-23T12:00:00Z") -> RestoreFacts:
    facts = swapped_over(copy.deepcopy(facts))
    pod = next(p for p in facts.pods if p["metadata"]["name"] == "pg-0")
    pod["status"]["containerStatuses"] = [{"name": "postgres"} | (status or {})]
    condition = {"type": "Swapped", "status": "True", "reason": "Swapped", "message": "", "lastTransitionTime": swapped}
    return replace(
        facts,
        agent=msgspec.convert({"postgres": postgres or {}}, Status),
        restore=RESTORE | {"status": {"conditions": [condition]}},
    )


def terminated(message, restarts=1):
    return {"restartCount": restarts, "lastState": {"terminated": {"exitCode": 1, "message": message}}}


@pytest.mark.parametrize(
    ("postgres", "status", "swapped", "verdict", "words"),
    [
        ({"reachable": False, "error": "starting up"}, {}, "2026-11-23T12:00:00Z", ("wait", "Starting"), "starting up"),
        ({"reachable": True, "inRecovery": True}, {}, "2026-11-23T12:00:00Z", ("wait", "Starting"), ""),
        ({"reachable": True, "inRecovery": False}, {}, "2026-11-23T12:00:00Z", ("done", "Started"), "takes writes"),
        ({"reachable": False}, {}, "2026-11-23T10:00:00Z", ("fail", "StartTimeout"), "within 3600 s"),
        ({"reachable": True, "inRecovery": False}, {}, "2026-11-23T10:00:00Z", ("done", "Started"), ""),
        ({}, terminated('FATAL:  could not access file "x": No such file'), "2026-11-23T12:00:00Z", ("fail", "StartFailed"), "could not access"),
        ({}, terminated("FATAL:  the database system is starting up"), "2026-11-23T12:00:00Z", ("wait", "Starting"), ""),
        ({}, terminated(""), "2026-11-23T12:00:00Z", ("wait", "Starting"), ""),
        ({}, terminated("", 3), "2026-11-23T12:00:00Z", ("fail", "StartFailed"), "ended 3 times on the restored volume, last with exit code 1"),
        ({}, terminated("", 9) | {"lastState": {"terminated": {"exitCode": 0}}}, "2026-11-23T12:00:00Z", ("wait", "Starting"), ""),
    ],
    ids=[
        "it starts", "it recovers from a crash", "it takes writes", "it has had its time", "it takes writes at last", "it cannot start",
        "a client came early", "it ended once", "it ends each time", "a liveness probe ends it each time",
    ],
)  # fmt: skip
def test_started(planned, postgres, status, swapped, verdict, words):
    found = steps_finish.started(with_postgres(planned, postgres, status, swapped))
    assert said(found) == verdict
    assert words in found.message


def test_a_workload_whose_pod_is_refused_is_told_in_kubernetes_words_with_a_reason_of_its_own(planned):
    facts = replace(with_postgres(planned), pods=(), workload_refused="exceeded quota: small")
    found = steps_finish.started(facts)
    assert said(found) == ("wait", "PodRefused")
    assert found.message == (
        "waiting for a pod of StatefulSet pg with an IP address: Kubernetes creates none: exceeded quota: small"
    )


def test_postgres_starts_before_the_old_volume_has_its_claim(planned):
    running = with_postgres(planned, {"reachable": True, "inRecovery": False})
    facts = replace(running, claims=(half := swapped_over(planned, kept=False)).claims, volumes=half.volumes)
    stopped = merged(planned.workloads[0], {"spec": planned.workloads[0]["spec"] | {"replicas": 0}})
    first = steps_finish.started(replace(facts, workloads=(stopped,)))
    assert (first.reason, first.action.body["spec"]) == ("Starting", {"replicas": 1})
    second = steps_finish.started(facts)
    assert (second.reason, second.action.plural, second.action.name) == ("Keeping", "persistentvolumes", "pv-old")


def test_a_restore_is_not_over_while_the_old_volume_waits_for_its_claim(planned):
    facts = with_postgres(planned, {"reachable": True, "inRecovery": False})
    waiting = merged(facts.claims["data-pg-0-before-back"], {"status": {"phase": "Pending"}})
    waiting["metadata"]["creationTimestamp"] = "2026-11-23T12:00:00Z"
    found = steps_finish.started(replace(facts, claims=facts.claims | {"data-pg-0-before-back": waiting}))
    assert found.kind != "done"


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
