"""The status board: what `kubectl get pgc` says in which state."""

from __future__ import annotations

import dataclasses

import pytest

from controller.cluster import report
from controller.cluster.decide import decide
from controller.cluster.report import LACKS
from controller.nodes import Lack

from .conftest import OLD, facts, filling, instance, spec


def status(found):
    return report.status(found, decide(found))


def condition(of, kind):
    return next(one for one in of["conditions"] if one["type"] == kind)


def test_all_is_well(whole):
    said = status(whole)
    assert (said["phase"], said["primary"], said["ready"], said["autofail"]) == ("Ready", "hippo-1", "3/3", "on")
    assert [one["role"] for one in said["instances"]] == ["primary", "replica", "replica"]
    assert said["message"] == "everything matches the spec"
    assert condition(said, "Autofail")["message"] == "2 replicas can take over"


def test_a_silent_node_is_named_with_the_way_out():
    silent = instance(2, ready=False, lack=Lack("n2", bound=True, since="2026-11-23T11:00:00Z"))
    said = status(facts(instance(1, "primary"), silent, status=READY, spec=spec(replicas=2)))
    told = condition(said, "Complete")
    assert (said["phase"], told["status"], told["reason"]) == ("Degraded", "False", "NodeNotReady")
    assert told["message"] == said["instances"][1]["message"] == said["message"]
    assert "`kubectl delete node n2`" in told["message"]


def test_without_a_primary_the_node_that_is_silent_is_the_reason():
    silent = instance(1, ready=False, lack=Lack("n2", bound=True))
    said = condition(status(facts(silent, status=READY, spec=spec(replicas=1))), "Ready")
    assert said["reason"] == "NoPrimary"
    assert "hippo-1 is on node n2, which has not been Ready" in said["message"]


def test_a_single_instance_is_not_called_all(whole):
    one = facts(instance(1, "primary"), status=READY, spec=spec(replicas=1))
    assert condition(status(one), "Complete")["message"] == "the only instance matches the spec"


READY = {"phase": "Ready", "initialized": True}
PHASES = {
    "nothing yet": (facts(leader="", listed=[]), "Creating", "the first instance is being created"),
    "no primary any more": (facts(instance(1), instance(2), instance(3), status=READY), "Down", "no primary"),
    "a replica is missing": (
        facts(instance(1, "primary"), instance(2), instance(3, ready=False), status=READY), "Degraded", "hippo-3",
    ),
    "being rolled": (
        facts(instance(1, "primary", digest=OLD), instance(2), instance(3), status=READY), "Degraded", "switching over",
    ),
    "replicas still being made": (
        facts(instance(1, "primary"), listed=[]), "Creating", "no backup yet",
    ),
}  # fmt: skip


def test_while_a_restore_is_at_work_it_is_the_reason_why_autofail_is_off():
    def said(**given):
        condition = next(one for one in status(facts(**given))["conditions"] if one["type"] == "Autofail")
        return status(facts(**given))["autofail"], condition["message"]

    assert said(restoring=True, paused=True) == ("off", "a Restore is running: no replica takes over by itself")
    assert said(restoring=True) == ("turning off", "it is turned off while a Restore is running")
    assert said(paused=True) == ("turning on", "spec.autofail is true")
    down = status(facts(instance(1), restoring=True, paused=True, status=READY))["message"]
    assert down.endswith("no replica takes over until the Restore has ended")


@pytest.mark.parametrize("case", PHASES)
def test_phases(case):
    found, phase, words = PHASES[case]
    said = status(found)
    assert said["phase"] == phase
    assert words in said["message"]


def test_autofail_says_why_it_is_off_and_what_follows():
    instances = (instance(1, "primary"), instance(2), instance(3))
    off = status(facts(*instances, spec=spec(autofail=False), paused=True))
    assert off["autofail"] == "off"
    assert "spec.autofail is false" in condition(off, "Autofail")["message"]
    assert status(facts(*instances, spec=spec(autofail=False)))["autofail"] == "turning off"
    assert status(facts(*instances, paused=True))["autofail"] == "turning on"
    down = status(facts(instance(1), spec=spec(autofail=False), paused=True, status=READY))
    assert "autofail is off" in down["message"]


def test_a_fault_is_told_and_the_phase_is_failed(whole):
    said = status(dataclasses.replace(whole, fault="Secret hippo-credentials is gone"))
    assert said["phase"] == "Failed"
    assert said["message"] == "Secret hippo-credentials is gone"


def test_who_holds_the_lock_is_the_primary_only_when_promoted():
    assert status(facts(instance(1, "primary", ready=False), instance(2), leader="hippo-2-pod"))["primary"] is None


def test_a_member_that_lost_the_lock_is_no_primary():
    said = status(facts(instance(1, "primary"), instance(2, "primary"), instance(3)))
    assert [one["role"] for one in said["instances"]] == ["primary", "unknown", "replica"]


STUCK = {
    "the first instance": (
        lambda one: facts(one, leader="", listed=[]),
        "Ready",
        "the first instance is being created; pod hippo-1-pod: ImagePullBackOff: no such image",
    ),
    "all that is left": (
        lambda one: facts(one, leader="", status=READY),
        "Ready",
        "there is no primary now (hippo-1: running); pod hippo-1-pod: ImagePullBackOff: no such image",
    ),
    "a replica": (
        lambda one: facts(one, instance(2, "primary"), instance(3), status=READY),
        "Complete",
        "2 of 3 instances are ready; not ready: hippo-1; pod hippo-1-pod: ImagePullBackOff: no such image",
    ),
}


@pytest.mark.parametrize("case", STUCK)
def test_why_a_pod_does_not_start_is_told_as_kubernetes_tells_it(case):
    of, kind, sentence = STUCK[case]
    one = instance(1, ready=False)
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    one.pod["status"]["containerStatuses"] = [{"name": "postgres", "state": {"waiting": waiting}}]
    assert condition(status(of(one)), kind)["message"] == sentence


def test_an_instance_that_kubernetes_refuses_is_told_in_its_words():
    found = instance(2, ready=False)
    said_ = {"type": "ReplicaFailure", "status": "True", "message": 'pods "hippo-2-6d5f-x2x4z" is forbidden: quota'}
    found.deployment["status"] = {"conditions": [said_]}
    refused = dataclasses.replace(found, pod=None)
    complete = condition(status(facts(instance(1, "primary"), refused, instance(3), status=READY)), "Complete")
    assert complete["reason"] == "PodRefused"
    assert complete["message"].endswith(
        'Kubernetes creates no pod of instance hippo-2: pods "hippo-2-6d5f" is forbidden: quota'
    )
    assert complete["reason"] in LACKS  # so an Event is written


def test_the_recovery_that_fills_the_first_volume_is_stuck_and_says_so():
    seen = dataclasses.replace(filling(), pods=(), refused="exceeded quota: small")
    found = condition(status(facts(filling=seen, listed=[], leader="")), "Complete")
    assert (found["reason"], found["reason"] in LACKS) == ("JobStuck", True)
    assert "Job hippo-recovery: Kubernetes creates no pod of it: exceeded quota: small" in found["message"]


def test_one_that_a_rule_refuses_by_now_is_cared_for_and_is_not_simply_ready(whole):
    said = status(dataclasses.replace(whole, refused="spec.parameters.x: newer"))
    assert (said["phase"], said["primary"]) == ("Degraded", "hippo-1")
    assert said["message"] == "a newer rule refuses the spec: spec.parameters.x: newer"
    assert (condition(said, "Rejected")["status"], condition(said, "Rejected")["reason"]) == ("True", "NoLongerValid")
    cluster = whole.cluster | {"status": said}
    again = status(dataclasses.replace(whole, cluster=cluster))
    assert again["phase"] == "Ready"
    assert [one for one in again["conditions"] if one["type"] == "Rejected"] == []


def of_repository(**given: tuple[str, str]) -> dict:
    """Its conditions, all True but those *given* with status and reason."""
    kinds = ("Ready", "Reachable", "Archiving", "WALContinuous")
    told = {kind: given.get(kind, ("True", "Well")) for kind in kinds}
    listed = [
        {"type": kind, "status": value, "reason": reason, "message": f"of {kind}"}
        for kind, (value, reason) in told.items()
    ]
    backups = [{"label": "F"}]
    known = {"phase": "Degraded", "conditions": listed, "backups": backups, "lastBackup": backups[0]}
    return {"metadata": {"name": "hippo"}, "status": known}


AWAY = ("False", "CannotConnect")
BROKEN = {
    "it cannot be read": ({"Ready": AWAY, "Reachable": AWAY}, ("Unknown", "CannotConnect", "Repository: of Ready")),
    "it takes no backup": ({"Ready": ("False", "RepositoryFull")}, ("False", "RepositoryFull", "Repository: of Ready")),
    "no WAL arrives": (
        {"Archiving": ("False", "ArchiveCommandFailing")},
        ("False", "ArchiveCommandFailing", "Repository: of Archiving"),
    ),
    "WAL is missing": (
        {"WALContinuous": ("False", "WALMissing")},
        ("False", "WALMissing", "Repository: of WALContinuous"),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_over_a_broken_repository_no_cluster_claims_to_be_backed_up(whole, case):
    given, told = BROKEN[case]
    said = status(dataclasses.replace(whole, repository=of_repository(**given)))
    found = condition(said, "BackedUp")
    assert (found["status"], found["reason"], found["message"]) == told
    assert said["message"] == told[2]
    assert said["lastBackup"] == {"label": "F"}


def test_what_the_repository_does_not_know_at_a_change_of_the_primary_is_no_loss(whole):
    unknown = of_repository(Archiving=("Unknown", "NoPrimary"), WALContinuous=("Unknown", "NotListedYet"))
    assert condition(status(dataclasses.replace(whole, repository=unknown)), "BackedUp")["status"] == "True"


def test_what_the_cluster_lacks_itself_is_told_before_what_its_repository_lacks():
    found = facts(instance(1, "primary"), instance(2), instance(3, ready=False), status=READY)
    broken = dataclasses.replace(found, repository=of_repository(Archiving=("False", "ArchiveCommandFailing")))
    assert "hippo-3" in status(broken)["message"]
