"""Deployments, anyone's and those of a PostgresCluster: who runs a pod, and what must be before the primary stops."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.recovery.plan import Plan
from controller.restore import cluster_members, steps_finish, workload
from controller.restore.cluster_members import Members
from controller.restore.facts import RestoreFacts, owner
from controller.restore.verdict import Delete, Merge
from pgwarden.api import names
from pgwarden.api.kinds import PodFacts, RestoreSpec

FACTS = PodFacts(
    container="postgres", data_directory="/pgdata/data", port=5432, socket_directory="/var/run/postgresql",
    user="postgres", database="postgres", run_as_user=999, run_as_group=999, configured_by="Patroni", data_volume="data",
)  # fmt: skip
PLAN = Plan(
    restore="back", restore_uid="r-1", repository="hippo", workload_kind="Deployment", workload="hippo-1", replicas=1,
    new_claim="back-restored", facts=FACTS, mounts=[],
)  # fmt: skip


def pod(name="hippo-1", kind="ReplicaSet", **labels):
    by = {"kind": kind, "name": f"{name}-7f6", "controller": True}
    marks = {names.LABEL_REPOSITORY: "hippo", "pod-template-hash": "7f6"} | labels
    return {"metadata": {"name": f"{name}-7f6-x", "labels": marks, "ownerReferences": [by]}, "spec": {}}


def instance(number):
    name = f"hippo-{number}"
    return {
        "metadata": {"name": name, "uid": name, "namespace": "ns", "labels": {names.LABEL_INSTANCE: name}},
        "spec": {},
    }


def members(**given):
    made = {"metadata": {"name": "hippo"}, "spec": {"autofail": False}}
    values = {
        "cluster": made,
        "primary": "hippo-1",
        "paused": True,
        "deployments": (instance(1),),
        "claims": (instance(1),),
    }
    return Members(**(values | given))


@pytest.fixture
def facts(settings) -> RestoreFacts:
    restore = {"metadata": {"name": "back", "namespace": "ns", "uid": "r-1"}}
    return RestoreFacts(now=None, settings=settings, restore=restore, spec=RestoreSpec(repository="hippo"), plan=PLAN)


def test_a_pod_of_a_replica_set_is_the_deployments():
    assert owner(pod()) == ("Deployment", "hippo-1")
    bare = pod()
    del bare["metadata"]["labels"]["pod-template-hash"]
    assert owner(bare) == ("ReplicaSet", "hippo-1-7f6")
    assert owner(pod(kind="StatefulSet")) == ("StatefulSet", "hippo-1-7f6")


def test_a_plain_deployment_is_found(facts):
    deployment = {"kind": "Deployment", "metadata": {"name": "hippo-1"}, "spec": {"replicas": 1}}
    found = workload.find(replace(facts, workloads=(deployment,), pods=(pod(),)))
    assert (found.kind, found.workload, found.pod) == ("Deployment", deployment, pod())


def test_a_deployment_and_a_stateful_set_of_one_name_are_two(facts):
    both = tuple({"kind": kind, "metadata": {"name": "pg"}, "spec": {}} for kind in ("Deployment", "StatefulSet"))
    pods = (pod("pg"), {"metadata": {"name": "pg-0", "labels": {names.LABEL_REPOSITORY: "hippo"}, "ownerReferences": [
        {"kind": "StatefulSet", "name": "pg", "controller": True}]}, "spec": {}})  # fmt: skip
    assert workload.find(replace(facts, workloads=both, pods=pods)).reason == "SeveralWorkloads"


def test_of_a_cluster_only_the_primary_is_restored(facts):
    one = instance(1) | {"spec": {"replicas": 1}}
    pods = (pod(), pod("hippo-2"))
    found = workload.find(replace(facts, members=members(deployments=(one, instance(2))), pods=pods))
    assert found.workload["metadata"]["name"] == "hippo-1"
    assert found.kind == "Deployment"
    none = workload.find(replace(facts, members=members(primary=""), pods=pods))
    assert none.reason == "NoPrimary"


def test_autofail_goes_off_first_and_stays_off(facts):
    on = {"metadata": {"name": "hippo"}, "spec": {}}
    verdict = cluster_members.hold(facts, members(cluster=on), PLAN)
    assert verdict.action == Merge("postgresclusters", "ns", "hippo", {"spec": {"autofail": False}})
    assert cluster_members.hold(facts, members(paused=False), PLAN).kind == "wait"


def test_replicas_go_with_their_volumes_and_the_primary_stays(facts):
    two = members(deployments=(instance(1), instance(2)), claims=(instance(1), instance(2)))
    assert cluster_members.hold(facts, two, PLAN).action == Delete("deployments", "ns", "hippo-2", "hippo-2")
    volumes = members(claims=(instance(1), instance(2)))
    assert cluster_members.hold(facts, volumes, PLAN).action == Delete(
        "persistentvolumeclaims", "ns", "hippo-2", "hippo-2"
    )
    ending = replace(facts, pods=(pod(), pod("hippo-2", **{names.LABEL_INSTANCE: "hippo-2"})))
    assert cluster_members.hold(ending, members(), PLAN).kind == "wait"
    assert cluster_members.hold(facts, members(), PLAN) is None


def test_the_lock_of_the_stopped_primary_is_taken_back(facts):
    held = cluster_members.release(facts, members(lock="hippo-1-7f6-x"))
    assert held.action == Merge("configmaps", "ns", "hippo-leader", {"metadata": {"annotations": {"leader": None}}})
    assert cluster_members.release(facts, members()) is None


def test_autofail_goes_on_again_where_the_restore_asks_for_that(facts):
    backup = {"metadata": {"creationTimestamp": "2026-11-23T12:00:01Z"}, "status": {"phase": "Completed"}}
    restore = {"metadata": {"name": "back", "namespace": "ns", "creationTimestamp": "2026-11-23T12:00:00Z"}}
    ended = replace(facts, restore=restore, backup=backup, members=members())
    assert steps_finish.backed_up(ended).kind == "done"
    asked = replace(ended, spec=RestoreSpec(repository="hippo", reenable_autofail=True))
    assert steps_finish.backed_up(asked).action == Merge(
        "postgresclusters", "ns", "hippo", {"spec": {"autofail": True}}
    )
    on = members(cluster={"metadata": {"name": "hippo"}, "spec": {}})
    assert steps_finish.backed_up(replace(asked, members=on)).kind == "done"


def test_another_primary_than_the_plans_is_not_stopped(facts):
    assert cluster_members.hold(facts, members(primary="hippo-2"), PLAN).reason == "PrimaryChanged"
