"""A Restore that brings another PostgreSQL cluster back than Patroni knows: what Patroni is told, and who serves then."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from controller.recovery.plan import Recovered
from controller.restore import cluster_members, undo
from controller.restore.facts import Members, RestoreFacts
from controller.restore.verdict import Merge
from pgwarden.api import names
from pgwarden.api.kinds import RestoreSpec

from .test_deployments import PLAN, members, pod

RESTORED, FRESH = "7100000000000000001", "7200000000000000002"
NOTED = {
    "config": {"config": "{}", "initialize": FRESH, "history": "[[1,2,3]]"},
    "leader": {"leader": "hippo-1-7f6-x", "optime": "50331744", "ttl": "30"},
    "failover": {"leader": "hippo-1-7f6-x", "member": "hippo-2-7f6-x"},
    "sync": {"leader": "hippo-1-7f6-x", "sync_standby": "hippo-2-7f6-x"},
}


@pytest.fixture
def facts(settings) -> RestoreFacts:
    restore = {"metadata": {"name": "back", "namespace": "ns", "uid": "r-1"}}
    plan = msgspec.structs.replace(PLAN, recovered=Recovered(system_identifier=RESTORED))
    return RestoreFacts(now=None, settings=settings, restore=restore, spec=RestoreSpec(repository="hippo"), plan=plan)


def carried_out(found: Members, verdict) -> Members:
    """*found* after the change that *verdict* asks for."""
    assert isinstance(verdict.action, Merge)
    key = verdict.action.name.removeprefix("hippo-")
    changed = dict(found.noted[key]) | verdict.action.body["metadata"]["annotations"]
    kept = {name: value for name, value in changed.items() if value is not None}
    noted = dict(found.noted) | {key: kept}
    return replace(found, noted=noted, lock=noted["leader"].get("leader", ""))


def released(facts, found):
    while verdict := cluster_members.release(facts, found):
        found = carried_out(found, verdict)
    return found


def test_patroni_is_told_the_restored_cluster_and_forgets_the_other(facts):
    found = released(facts, members(noted=NOTED, lock="hippo-1-7f6-x"))
    assert found.noted == {
        "config": {"config": "{}", "initialize": RESTORED, names.ANNOTATION_INITIALIZED_BEFORE: f"r-1/{FRESH}"},
        "leader": {"ttl": "30"},
        "failover": {},
        "sync": {},
    }


def test_the_identifier_is_told_last_so_that_nothing_is_left_out_when_this_is_begun_again(facts):
    first = cluster_members.release(facts, members(noted=NOTED))
    assert "initialize" not in first.action.body["metadata"]["annotations"]


def test_of_the_same_cluster_only_the_lock_goes(facts):
    same = NOTED | {"config": NOTED["config"] | {"initialize": RESTORED}}
    found = released(facts, members(noted=same, lock="hippo-1-7f6-x"))
    assert found.noted == same | {"leader": {"optime": "50331744", "ttl": "30"}}


def test_what_patroni_knows_is_left_where_nobody_says_what_was_restored(facts):
    unknown = replace(facts, plan=PLAN)
    assert cluster_members.release(unknown, members(noted=NOTED)) is None


def test_a_restore_that_is_undone_gives_patroni_back_what_it_knew(facts):
    found = released(facts, members(noted=NOTED, lock="hippo-1-7f6-x"))
    back = carried_out(found, cluster_members.take_back(facts, found))
    assert back.noted["config"] == {"config": "{}", "initialize": FRESH}
    assert cluster_members.take_back(facts, back) is None


def test_what_an_earlier_restore_has_told_patroni_is_not_undone_by_a_later_one(facts):
    config = NOTED["config"] | {names.ANNOTATION_INITIALIZED_BEFORE: f"r-0/{RESTORED}"}
    assert cluster_members.take_back(facts, members(noted={"config": config})) is None


def test_the_old_volume_starts_only_when_patroni_knows_its_cluster_again(facts, monkeypatch):
    monkeypatch.setattr(undo.workload, "is_marked", lambda *_: True)
    monkeypatch.setattr(undo.workload, "is_started", lambda *_: False)
    found = released(facts, members(noted=NOTED, lock="hippo-1-7f6-x"))
    deployment = {"kind": "Deployment", "metadata": {"name": "hippo-1"}, "spec": {"replicas": 0}}
    undoing = replace(facts, members=found, workloads=(deployment,))
    verdict = undo._start(undoing, PLAN)
    assert verdict.action.name == "hippo-config"


def serving(ready: bool, **labels):
    one = pod(**labels)
    return one | {"status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}}


SERVING = {
    "the primary that is ready": (serving(ready=True, **{names.LABEL_ROLE: "primary"}), ""),
    "a primary that is not ready": (serving(ready=False, **{names.LABEL_ROLE: "primary"}), "to be ready"),
    "one that Patroni keeps as a replica": (serving(ready=True, **{names.LABEL_ROLE: "replica"}), "it has role replica"),
    "one that Patroni says nothing of": (serving(ready=True), "to make pod hippo-1-7f6-x the primary"),
}  # fmt: skip


@pytest.mark.parametrize("case", SERVING)
def test_the_service_has_a_pod_when_that_is(case):
    one, words = SERVING[case]
    verdict = cluster_members.serving(one)
    assert verdict is None if not words else words in verdict.message
