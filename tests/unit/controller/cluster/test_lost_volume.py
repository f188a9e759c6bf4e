"""A PostgresCluster whose instances have lost their volumes: made anew, brought back from the Repository, or told how."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from controller.cluster import lost_volume
from controller.cluster.actions import Make, Recover, Remove
from controller.cluster.decide import decide
from controller.cluster.report import status
from controller.nodes import Lack
from controller.recovery import request
from pgwarden.api.kinds import RestoreSpec
from tests.unit.controller.cluster.conftest import facts, instance, spec

UID = "0a1b2c3d-4444-5555"
WITH_NODE = Lack("n2", bound=True, proof="its Node object is deleted", claim_uid=UID)
ALONE = Lack("", bound=True, proof="PersistentVolume pvc-1 of claim hippo-1 no longer exists", claim_uid=UID)
INITIALISED = {"initialized": True, "phase": "Ready"}
RECOVERS = {"storageType": "local", "onExistingBackups": "Recover"}


def of_one(lack=ALONE, repository=None, **given):
    wanted = spec(replicas=1, repository=repository or {"storageType": "local"})
    return facts(instance(1, ready=False, lack=lack), spec=wanted, status=INITIALISED, leader="", **given)


def restore(phase: str, message: str, name: str = "hippo-lost-0a1b2c3d") -> dict:
    return {
        "kind": "Restore",
        "metadata": {"name": name, "uid": "r", "creationTimestamp": "2026-11-23T11:00:00Z"},
        "spec": {"repository": "hippo"},
        "status": {"phase": phase, "message": message},
    }


def ready(said) -> dict:
    return next(one for one in said["conditions"] if one["type"] == "Ready")


@pytest.mark.parametrize(
    ("lack", "words"),
    [
        (WITH_NODE, "the volume of hippo-1 is lost with node n2 (its Node object is deleted)"),
        (ALONE, "the volume of hippo-1 is lost (PersistentVolume pvc-1 of claim hippo-1 no longer exists)"),
    ],
    ids=["with its node", "alone"],
)
def test_of_the_last_copy_the_status_says_how_to_have_it_back(lack, words):
    found = of_one(lack)
    decision = decide(found)
    assert decision.action is None
    said = ready(status(found, decision))
    assert (said["status"], said["reason"]) == ("False", "VolumeLost")
    assert said["message"].startswith(f"{words}; it was the only copy outside of Repository hippo. To bring it back")
    assert "kubectl pgwarden restore hippo" in said["message"]
    assert "spec.repository.onExistingBackups to Recover" in said["message"]


def test_it_is_restored_by_itself_where_that_is_asked_for():
    found = of_one(repository=RECOVERS)
    action = decide(found).action
    assert action == Recover("hippo-lost-0a1b2c3d", UID)
    cluster = found.cluster | {"kind": "PostgresCluster"}
    made = request.restore(cluster, action.name, action.uid, reenableAutofail=True)
    asked = msgspec.convert(made["spec"], RestoreSpec)
    assert (asked.repository, asked.reenable_autofail, asked.keep_old_volume) == ("hippo", True, True)
    assert made["metadata"]["ownerReferences"][0]["uid"] == "c"


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (restore("Pending", "waiting for its turn"), "Restore hippo-lost-0a1b2c3d brings it back: waiting for its turn"),
        (restore("Failed", "no backup"), "hippo-lost-0a1b2c3d did not bring it back: no backup. Delete that Restore"),
        (restore("Pending", "valid", "mine"), "Restore mine brings it back: valid"),
    ],
    ids=["waits", "failed", "the user's"],
)  # fmt: skip
def test_it_is_restored_once_and_the_restore_is_named(made, words):
    decision = decide(of_one(repository=RECOVERS, restores=(made,)))
    assert decision.action is None
    assert words in decision.message


def test_without_a_backup_nothing_is_created():
    decision = decide(of_one(repository=RECOVERS, listed=[]))
    assert decision.action is None
    assert "lists no backup" in decision.message


def test_an_earlier_restore_of_another_loss_is_not_in_the_way():
    over = restore("Completed", "recovered", "hippo-lost-99999999")
    assert decide(of_one(repository=RECOVERS, restores=(over,))).action == Recover("hippo-lost-0a1b2c3d", UID)


def test_a_cluster_that_never_had_a_primary_has_lost_nothing():
    found = of_one(repository=RECOVERS)
    assert not lost_volume.is_all_lost(dataclasses.replace(found, cluster=found.cluster | {"status": {}}))


def test_all_of_several_are_brought_back_as_one():
    lost = [instance(n, ready=False, lack=WITH_NODE) for n in (1, 2)]
    wanted = spec(replicas=2, repository=RECOVERS)
    assert isinstance(decide(facts(*lost, spec=wanted, status=INITIALISED, leader="")).action, Recover)


def test_one_of_several_that_has_lost_its_volume_alone_is_made_anew():
    lost = instance(2, ready=False, lack=ALONE)
    wanted = spec(replicas=2, repository=RECOVERS)
    assert decide(facts(instance(1, "primary"), lost, spec=wanted, status=INITIALISED)).action == Remove(lost)


def test_a_claim_that_was_deleted_is_made_again_empty_where_nobody_else_has_the_data():
    deleted = Lack("", bound=True, proof="claim hippo-1 does not exist")
    decision = decide(of_one(deleted, repository=RECOVERS))
    assert decision.action == Make(1)
    assert "claim hippo-1 does not exist" in decision.message
