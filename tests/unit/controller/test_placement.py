"""What is taken over from the pods that are protected, and what a podTemplate says instead."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from controller import placement
from controller.placement import PREFERRED, REQUIRED, Inherited
from pgwarden.api.kinds import PodScheduling

TAINTED = {"key": "dedicated", "operator": "Equal", "value": "db", "effect": "NoSchedule"}
ZONE = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}


def pod(name: str = "hippo-0", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": spec}


def taken(**spec: Any) -> dict[str, Any]:
    """A pod of ours beside one with this *spec*, where no podTemplate says anything."""
    return placement.fields(PodScheduling(), placement.of_pod(pod(**spec)))


def given(**fields: Any) -> PodScheduling:
    return msgspec.convert(fields, PodScheduling)


def test_what_lets_postgresql_run_on_its_nodes_lets_ours_run_there():
    found = taken(tolerations=[TAINTED], priorityClassName="databases", imagePullSecrets=[{"name": "registry"}])
    assert found == {
        "tolerations": [TAINTED],
        "priorityClassName": "databases",
        "imagePullSecrets": [{"name": "registry"}],
    }


def test_what_kubernetes_gives_each_pod_is_nobodys_wish():
    own = [
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    ]
    assert taken(tolerations=own, schedulerName="default-scheduler") == {}


def test_its_nodes_are_a_preference_as_the_volume_may_be_on_another_one():
    found = taken(nodeSelector={"pool": "db", "kubernetes.io/arch": "arm64"})
    pool = {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["db"]}]}
    assert found["nodeSelector"] == {"kubernetes.io/arch": "arm64"}  # without it our image could not run at all
    assert found["affinity"] == {"nodeAffinity": {PREFERRED: [{"weight": 100, "preference": pool}]}}


def test_a_required_node_affinity_is_a_preference_too():
    weak = {"weight": 3, "preference": ZONE}
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [ZONE]}, PREFERRED: [weak]}}
    assert taken(affinity=affinity)["affinity"]["nodeAffinity"] == {
        PREFERRED: [{"weight": 100, "preference": ZONE}, weak]
    }


@pytest.mark.parametrize(
    "harmful",
    [
        {"nodeSelector": {"kubernetes.io/hostname": "n1"}},  # with that node both would be lost
        {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name"}]}]}}}},
        {"affinity": {"podAntiAffinity": {REQUIRED: [{"topologyKey": "kubernetes.io/hostname"}]}}},  # against its own
        {"affinity": {"podAffinity": {REQUIRED: [{"topologyKey": "zone"}]}}},
        {"topologySpreadConstraints": [{"maxSkew": 1}]},  # counts the database's pods
        {"priorityClassName": "system-node-critical"},
        {"runtimeClassName": "gvisor"},
        {"nodeName": "n1", "hostNetwork": True, "serviceAccountName": "db"},
    ],
    ids=str,
)  # fmt: skip
def test_what_would_do_harm_is_not_taken_over(harmful):
    assert taken(**harmful) == {}


def test_what_is_set_wins_also_where_it_is_empty():
    inherited = placement.of_pod(pod(tolerations=[TAINTED], priorityClassName="databases", nodeSelector={"pool": "db"}))
    mine = given(tolerations=[], priorityClassName="", nodeSelector={"pool": "backup"})
    assert placement.fields(mine, inherited) == {"nodeSelector": {"pool": "backup"}}


def test_everything_that_can_be_set_gets_into_the_pod():
    spread = [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]
    wanted = {
        "nodeSelector": {"a": "b"}, "tolerations": [TAINTED], "affinity": {"nodeAffinity": {}}, "topologySpreadConstraints": spread,
        "priorityClassName": "p", "runtimeClassName": "r", "schedulerName": "s", "imagePullSecrets": [{"name": "x"}],
    }  # fmt: skip
    assert set(wanted) == {one.encode_name for one in msgspec.structs.fields(PodScheduling)}
    assert placement.fields(given(**wanted)) == wanted


def test_a_recovery_runs_where_its_workload_does_whatever_the_template_says_of_nodes():
    own = {"tolerations": [TAINTED], "imagePullSecrets": [{"name": "a"}], "priorityClassName": "low"}
    mine = given(
        nodeSelector={"x": "y"},
        tolerations=[],
        imagePullSecrets=[{"name": "a"}, {"name": "b"}],
        priorityClassName="high",
    )
    assert placement.beside(mine, own) == {
        "tolerations": [TAINTED], "imagePullSecrets": [{"name": "a"}, {"name": "b"}], "priorityClassName": "high"
    }  # fmt: skip
    assert placement.beside(PodScheduling(), own) == own


def test_what_was_taken_over_stays_while_there_is_nobody_to_ask():
    """A Restore stops PostgreSQL: the repository host must not start anew for that."""
    before = placement.of_pod(pod(tolerations=[TAINTED]))
    assert placement.chosen([], before) == before
    assert placement.chosen([pod()], before) == Inherited()


def test_of_pods_that_differ_none_is_preferred_to_what_is_in_force():
    """Else the host would start anew with each failover between them."""
    one, other = pod("a", tolerations=[TAINTED]), pod("b")
    assert placement.chosen([one, other], None) == placement.of_pod(one)
    assert placement.chosen([one, other], placement.of_pod(other)) == placement.of_pod(other)


def test_what_is_in_force_is_read_off_the_hosts_deployment():
    found = placement.of_pod(pod(tolerations=[TAINTED], nodeSelector={"pool": "db"}))
    annotations = {"pgwarden.io/taken-over": placement.note(found)}
    assert placement.noted({"metadata": {"annotations": annotations}}) == found
    assert placement.noted({"metadata": {"annotations": {"pgwarden.io/taken-over": "{"}}}) is None
    assert placement.noted({"metadata": {}}) is placement.noted(None) is None


def test_our_own_labels_are_not_to_be_replaced():
    about = msgspec.convert(
        {"labels": {"a": "b", "pgwarden.io/backup": "x"}, "annotations": {"c": "d"}}, placement.PodMetadata
    )
    assert placement.metadata(about, {"pgwarden.io/backup": "mine"}) == {
        "labels": {"a": "b", "pgwarden.io/backup": "mine"}, "annotations": {"c": "d"}
    }  # fmt: skip
