"""One thing at a time, and the right one: tables of states and what is done next."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from controller import patroni
from controller.cluster import instance as of_instances
from controller.cluster.actions import BackUp, Configure, Make, Remove, Rename, Switch
from controller.cluster.decide import decide, paused
from controller.cluster.encryption import Mode
from controller.nodes import Lack
from pgwarden.api.sizing import NOTHING, Asks

from .conftest import NOW, OLD, facts, instance, spec

FAILED = {"kind": "Backup", "metadata": {"name": "hippo-first"}}


def primary(number=1, **given):
    return instance(number, "primary", **given)


def backup(phase, ended="2026-11-23T11:00:00Z", name="hippo-first", reason=""):
    status = {"phase": phase, "completionTime": ended, "reason": reason}
    return {"kind": "Backup", "metadata": {"name": name}, "status": status}


def test_nothing_to_do(whole):
    assert decide(whole).action is None
    assert decide(whole).message == ""


MAKING = {
    "the first of all": (facts(), Make(1)),
    "the next from the first backup": (facts(primary()), Make(2)),
    "the one that is missing in between": (facts(primary(), instance(3)), Make(2)),
    "after the first backup has failed all the same": (
        facts(primary(), listed=[], backups=[backup("Failed", "2026-11-23T11:59:50Z")]), Make(2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MAKING)
def test_an_instance_is_made(case):
    found, action = MAKING[case]
    assert decide(found).action == action


WAITING = {
    "no backup yet": (facts(primary(), listed=[], backups=[backup("Running")]), "from the first backup"),
    "no primary": (facts(instance(1)), "once there is a primary"),
    "another is not ready": (facts(primary(), instance(2, ready=False)), "once hippo-2 is ready"),
    "autofail is off": (
        facts(primary(), spec=spec(autofail=False), paused=True), "once autofail is on",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WAITING)
def test_an_instance_is_not_made_yet(case):
    found, words = WAITING[case]
    assert decide(found).action is None
    assert words in decide(found).message


NODE_GONE = Lack("n2", bound=True, proof="its Node object is deleted")
LOST = {
    "a replica": (facts(primary(), instance(2, ready=False, lack=NODE_GONE)), 2),
    "who was the primary": (facts(instance(1, ready=False, lack=NODE_GONE), primary(2)), 1),
    "before one that is missing is made": (facts(primary(), instance(3, ready=False, lack=NODE_GONE)), 3),
}


@pytest.mark.parametrize("case", LOST)
def test_an_instance_whose_volume_is_lost_with_its_node_is_removed_for_a_new_one(case):
    found, number = LOST[case]
    decision = decide(found)
    assert isinstance(decision.action, Remove)
    assert decision.action.instance.number == number
    assert decision.message == (
        f"the volume of hippo-{number} is lost with node n2 (its Node object is deleted): "
        "removing it, for it to be made anew"
    )


KEPT = {
    "the node is only silent": (primary(), instance(2, ready=False, lack=Lack("n2", bound=True))),
    "its volume can be used on other nodes": (
        primary(), instance(2, ready=False, lack=Lack("n2", bound=False, proof="its Node object is deleted")),
    ),
    "it is the only one": (instance(1, ready=False, lack=NODE_GONE),),
    "there is no primary": (instance(1, ready=False, lack=NODE_GONE), instance(2, ready=False)),
}  # fmt: skip


@pytest.mark.parametrize("case", KEPT)
def test_what_may_be_alive_and_the_last_instance_are_never_removed(case):
    decision = decide(facts(*KEPT[case], spec=spec(replicas=len(KEPT[case])), leader="hippo-1-pod"))
    assert decision.action is None


def test_why_a_lost_instance_is_not_made_anew_without_a_primary_is_said():
    decision = decide(facts(instance(1, ready=False, lack=NODE_GONE), instance(2, ready=False), leader=""))
    assert decision.message == (
        "the volume of hippo-1 is lost with node n2 (its Node object is deleted); it is made anew once there is a primary"
    )


def test_the_first_instance_is_made_when_the_pods_of_an_earlier_one_have_ended():
    found = decide(facts(pods=["hippo-2-pod"], status={}))
    assert found.action is None
    assert found.message == "waiting for pod hippo-2-pod of an earlier instance to end"
    assert decide(facts(left="waiting until Secret x", status={})).message == "waiting until Secret x"
    assert decide(facts(status={})).action == Make(1)


SHRINKING = {
    "the highest replica goes": (facts(primary(), instance(2), instance(3), spec=spec(replicas=1)), Remove, 3),
    "the primary stays while it is too many": (
        facts(instance(1), primary(3), spec=spec(replicas=1)), Switch, "hippo-1-pod",
    ),
    "replicas beyond go before the primary is moved": (
        facts(instance(1), primary(2), instance(3), spec=spec(replicas=1)), Remove, 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SHRINKING)
def test_scaling_down_never_removes_the_primary(case):
    found, kind, which = SHRINKING[case]
    action = decide(found).action
    assert isinstance(action, kind)
    assert which == (action.instance.number if isinstance(action, Remove) else action.candidate)


ROLLING = {
    "replicas first, the highest": ((primary(digest=OLD), instance(2, digest=OLD), instance(3, digest=OLD)), Make(3)),
    "then the other": ((primary(digest=OLD), instance(2, digest=OLD), instance(3)), Make(2)),
    "then a switchover": ((primary(digest=OLD), instance(2), instance(3)), Switch("hippo-1-pod", "hippo-2-pod")),
    "then who was the primary": ((instance(1, digest=OLD), primary(2), instance(3)), Make(1)),
    "a restart for parameters": (
        (primary(), instance(2), instance(3, pending_restart=True)), Make(3, "2026-11-23T12:00:00Z"),
    ),
    "the mark of an earlier restart stays": (
        (primary(), instance(2), instance(3, digest=OLD, restarted="2026-01-01T00:00:00Z")),
        Make(3, "2026-01-01T00:00:00Z"),
    ),
    "one that does not come up may need just this": (
        (primary(digest=OLD), instance(2), instance(3, digest=OLD, ready=False)), Make(3),
    ),
    "also beside a primary that misses a probe": (
        (primary(digest=OLD, unready_for=5), instance(2), instance(3, digest=OLD, ready=False)), Make(3),
    ),
    "and one that is not ready for long": (
        (primary(digest=OLD), instance(2), instance(3, digest=OLD, unready_for=61)), Make(3),
    ),
    "a primary that is not ready for long is taken for stuck": (
        (primary(digest=OLD, unready_for=61), instance(2), instance(3)), Make(1),
    ),
    "so is a single one": ((primary(digest=OLD, unready_for=61),), Make(1)),
}  # fmt: skip


@pytest.mark.parametrize("case", ROLLING)
def test_changes_roll(case):
    instances, action = ROLLING[case]
    assert decide(facts(*instances)).action == action


COMING_OVER = {
    "a replica first": ((primary(digest=OLD, tls=False), instance(2, digest=OLD, tls=False)), Make(2)),
    "then the primary, whose Patroni would not believe the replica's": (
        (primary(digest=OLD, tls=False), instance(2)), Make(1),
    ),
    "one with certificates switches over": ((primary(digest=OLD), instance(2)), Switch("hippo-1-pod", "hippo-2-pod")),
    "nobody is able": ((primary(digest=OLD, tls=False), instance(2, state="start failed", replication="")), None),
}  # fmt: skip


@pytest.mark.parametrize("case", COMING_OVER)
def test_instances_of_a_release_before_tls_are_made_with_certificates(case):
    instances, action = COMING_OVER[case]
    two = spec(replicas=2)
    config = patroni.dynamic("hippo", two, paused=False, encrypted=False)
    assert decide(facts(*instances, spec=two, config=config, encryption=Mode.BEGUN)).action == action


def test_tls_is_required_once_all_instances_have_certificates():
    two = spec(replicas=2)
    clear, asked = (patroni.dynamic("hippo", two, paused=False, encrypted=yes) for yes in (False, True))
    for mode in (Mode.OFF, Mode.BEGUN):
        assert decide(facts(primary(), instance(2), spec=two, config=clear, encryption=mode)).action is None
    assert decide(facts(primary(), instance(2), spec=two, config=clear)).action == Configure(asked)


def test_the_next_is_renewed_only_when_the_last_is_back():
    going = instance(3, of_pod=OLD)
    assert decide(facts(primary(digest=OLD), instance(2, digest=OLD), going)).action is None
    starting = instance(3, ready=False)
    assert decide(facts(primary(digest=OLD), instance(2, digest=OLD), starting)).action is None


MOMENTS = {
    "its primary misses a probe": (
        (primary(digest=OLD, unready_for=5), instance(2), instance(3)), {},
        "hippo-1, which has not been ready since 2026-11-23T11:59:55Z",
    ),
    "a replica misses a probe while another one starts": (
        (primary(digest=OLD), instance(2, digest=OLD, unready_for=5), instance(3, ready=False)), {},
        "hippo-2, which has not been ready since 2026-11-23T11:59:55Z",
    ),
    "its primary is unready, and since when is not told": (
        (primary(digest=OLD, ready=False), instance(2), instance(3)), {}, "hippo-1, which is not ready",
    ),
    "who has the lock is not promoted yet": (
        (instance(1, digest=OLD), instance(2), instance(3, digest=OLD)), {"leader": "hippo-1-pod"}, "a primary",
    ),
    "nobody has the lock": ((instance(1, digest=OLD), instance(2), instance(3, digest=OLD)), {}, "a primary"),
}  # fmt: skip


@pytest.mark.parametrize("case", MOMENTS)
def test_a_change_waits_for_who_is_not_ready_at_this_moment(case):
    instances, given, what = MOMENTS[case]
    found = decide(facts(*instances, **given))
    assert found.action is None
    assert found.message == f"rolling: waiting for {what}"


def no_primary(seconds: int):
    since = (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": since}]}


def test_without_a_primary_for_minutes_what_is_new_may_be_the_cure():
    old = instance(1, digest=OLD), instance(2, digest=OLD), instance(3)
    assert decide(facts(*old, status=no_primary(299))).action is None
    assert decide(facts(*old, status=no_primary(301))).action == Make(2)
    assert decide(facts(instance(1, digest=OLD), spec=spec(replicas=1))).action == Make(1)


def test_an_instance_that_is_missing_does_not_wait_for_one_that_is_to_go():
    found = facts(primary(2), instance(3, ready=False), spec=spec(replicas=2))
    assert decide(found).action == Make(1)


def test_a_single_instance_is_renewed_in_its_place():
    assert decide(facts(primary(digest=OLD), spec=spec(replicas=1))).action == Make(1)


def test_no_second_switchover_while_one_is_under_way():
    found = facts(primary(digest=OLD), instance(2), instance(3), switching=True)
    assert decide(found).action is None
    assert "switching over" in decide(found).message


SWITCHING = {
    "who is to take over is not renewed for a still newer template": (
        primary(digest=OLD), instance(2, digest=OLD), instance(3),
    ),
    "nor restarted for parameters": (primary(digest=OLD), instance(2, pending_restart=True), instance(3)),
    "nor removed": (primary(), instance(2), instance(3), instance(4)),
    "who gives up the lock is not renewed, how long it takes": (
        primary(digest=OLD, unready_for=120), instance(2), instance(3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SWITCHING)
def test_while_a_switchover_is_under_way_nothing_is_done_to_who_has_part_in_it(case):
    found = decide(facts(*SWITCHING[case], switching=True))
    assert found.action is None
    assert "hippo-1" in found.message


def test_who_cannot_give_up_the_lock_for_minutes_is_renewed():
    dead = primary(digest=OLD, unready_for=301)
    assert decide(facts(dead, instance(2), instance(3), switching=True)).action == Make(1)


def test_an_instance_that_is_dead_is_cured_while_a_switchover_waits_for_it():
    dead = instance(3, digest=OLD, unready_for=61)
    assert decide(facts(primary(), instance(2), dead, switching=True)).action == Make(3)


def test_the_primary_is_not_renewed_while_its_only_replica_starts_again():
    starting = instance(2, state="starting")
    found = decide(facts(primary(digest=OLD), starting, spec=spec(replicas=2)))
    assert found.action is None
    why = 'hippo-2 is no replica that follows: by Patroni it is "starting"'
    assert found.message == f"no replica is ready to take over from hippo-1: {why}"


def test_a_smaller_cluster_keeps_its_replicas_until_one_that_stays_can_take_over():
    found = decide(facts(instance(1, unready_for=5), instance(2), primary(3), spec=spec(replicas=1)))
    assert found.action is None
    why = "hippo-1 has not been ready since 2026-11-23T11:59:55Z"
    assert found.message == f"no remaining instance is ready to take over from hippo-3: {why}"


def test_with_synchronous_only_a_replica_that_commits_wait_for_takes_over():
    found = facts(
        primary(digest=OLD), instance(2), instance(3), spec=spec(synchronous=True), synchronous=["hippo-3-pod"]
    )
    assert decide(found).action == Switch("hippo-1-pod", "hippo-3-pod")


GONE = ["hippo-1-5cc75b9b47-rww8t", "hippo-2-5f6955d7cb-9pl2c"]
RENAMED = {
    "both pods are new": ({}, Rename("hippo-1-pod", ("hippo-2-pod",))),
    "no replica was noted yet, and the primary's pod is new": ({"synchronous": []}, Rename("hippo-1-pod", ())),
    "the replica is there and takes over": ({"synchronous": ["hippo-2-pod"]}, None),
    "the one that holds the lock is there": ({"leader": "hippo-1-pod"}, None),
    "commits wait for nobody": ({"spec": spec(replicas=2)}, None),
    "Patroni has noted nobody": ({"synchronous": [], "synchronous_leader": ""}, None),
}


@pytest.mark.parametrize("case", RENAMED)
def test_new_names_of_those_that_may_take_over_are_told_to_patroni(case):
    given, action = RENAMED[case]
    given = {"leader": GONE[0], "synchronous": GONE[1:], "synchronous_leader": GONE[0]} | given
    found = facts(instance(1), instance(2), **{"spec": spec(replicas=2, synchronous=True)} | given)
    assert (decide(found).action if isinstance(decide(found).action, Rename) else None) == action


def test_a_streaming_replica_takes_over_before_one_that_replays_from_the_archive():
    found = facts(primary(digest=OLD), instance(2, replication="in archive recovery"), instance(3))
    assert decide(found).action == Switch("hippo-1-pod", "hippo-3-pod")


def test_changed_parameters_are_configured_before_anything_restarts():
    wanted = spec(parameters={"work_mem": "8MB"})
    before = patroni.dynamic("hippo", spec(), paused=False)
    action = decide(facts(primary(digest=OLD), instance(2), instance(3), spec=wanted, config=before)).action
    assert isinstance(action, Configure)
    assert action.config["postgresql"]["parameters"]["work_mem"] == "8MB"


AUTOFAIL = {
    "off once all are there": (facts(primary(), instance(2), instance(3), spec=spec(autofail=False)), True),
    "not while one is missing": (facts(primary(), instance(2), spec=spec(autofail=False)), False),
    "not while one is not ready": (
        facts(primary(), instance(2), instance(3, ready=False), spec=spec(autofail=False)), False,
    ),
    "it stays off when one fails": (
        facts(primary(), instance(2, ready=False), instance(3), spec=spec(autofail=False), paused=True), True,
    ),
    "on": (facts(primary(), instance(2), instance(3), paused=True), False),
}  # fmt: skip


@pytest.mark.parametrize("case", AUTOFAIL)
def test_autofail(case):
    found, off = AUTOFAIL[case]
    assert paused(found) is off


BACKUPS = {
    "when the Repository is ready": ((), BackUp("hippo-first")),
    "not while one runs": ((backup("Running"),), None),
    "not again when one is done": ((backup("Completed"),), None),
    "not at once after a failure": ((backup("Failed", "2026-11-23T11:59:50Z"),), None),
    "after a minute under another name": ((backup("Failed"),), BackUp("hippo-first-2")),
    "the record of an earlier cluster's is none": ((backup("Completed", reason="Record"),), BackUp("hippo-first-2")),
    "nor is that of a failure": (
        (backup("Failed", "2026-11-23T11:59:50Z", reason="RecordUnfinished"),),
        BackUp("hippo-first-2"),
    ),
}


@pytest.mark.parametrize("case", BACKUPS)
def test_the_first_backup_is_taken_by_itself(case):
    taken, action = BACKUPS[case]
    assert decide(facts(primary(), spec=spec(replicas=1), listed=[], backups=taken)).action == action


def test_nothing_is_done_while_something_has_to_be_put_right(whole):
    decision = decide(dataclasses.replace(whole, fault="the Secret is gone", instances=()))
    assert decision.action is None
    assert decision.message == "the Secret is gone"


def test_while_a_restore_is_at_work_patroni_is_paused_and_nothing_else_is_done():
    running = facts(primary(digest=OLD), restoring=True)
    action = decide(running).action
    assert isinstance(action, Configure)
    assert action.config["pause"] is True
    held = facts(primary(digest=OLD), restoring=True, paused=True)
    assert decide(held).action is None
    assert "Restore" in decide(held).message


def refused(number, resources):
    """One whose pod a quota refuses; its template has these resources."""
    found = instance(number, ready=False)
    said = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}
    found.deployment["status"] = {"conditions": [said]}
    found.deployment["spec"]["template"]["spec"] = {"containers": [{"resources": resources}]}
    return dataclasses.replace(found, pod=None)


def test_an_instance_that_a_newer_quota_refuses_is_made_to_fit_at_once():
    asked = Asks(named=frozenset({"limits.cpu"}))
    before, now = of_instances.resources(spec(), NOTHING), of_instances.resources(spec(), asked)
    assert decide(facts(primary(), instance(2), refused(3, before), asks=asked)).action == Make(3, "")
    fitting = decide(facts(primary(), instance(2), refused(3, now), asks=asked))
    assert not isinstance(fitting.action, Make)  # no template would help
    assert decide(facts(primary(), instance(2), instance(3), asks=asked)).action is None  # what runs is left alone
