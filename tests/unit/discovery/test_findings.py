"""Whether each PostgreSQL is protected, could be, or why not: by the webhook's own core."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from pgwarden.api.schema import with_defaults
from pgwarden.discovery import findings
from pgwarden.discovery.findings import Seen, owner_of
from pgwarden.injection.settings import Settings
from pgwarden.injection.workloads import template_of
from tests.unit.discovery.corpus import DATA, POSTGRES, pod

LABEL = "pgwarden.io/repository"
SETTINGS = Settings(image="pgwarden:test")


def make(namespace: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    made = {
        "apiVersion": "pgwarden.io/v1alpha1",
        "kind": "Repository",
        "metadata": metadata,
        "spec": {"storageType": "local"},
    }
    return with_defaults(made)


def workload(
    name: str = "hippo", kind: str = "StatefulSet", labels: Any = None, replicas: int | None = 1, **more: Any
) -> Any:
    made = pod(more.pop("image", "postgres:17"), labels, **({"data": DATA} | more))
    template = {"metadata": {"labels": labels or {}}, "spec": made["spec"]}
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": "zoo"},
        "spec": {"replicas": replicas, "template": template},
    }


def pod_of(of: Any, number: int = 0, *, injected: bool = False) -> Any:
    """As its controller would make it."""
    found = template_of(of, "zoo")
    made = copy.deepcopy(found.pod)
    kind, name = of["kind"], of["metadata"]["name"]
    made["metadata"] |= {"name": f"{name}-{number}", "namespace": "zoo"}
    if kind == "Deployment":
        kind, name = "ReplicaSet", f"{name}-5d8f"
        made["metadata"]["labels"] = made["metadata"]["labels"] | {"pod-template-hash": "5d8f"}
    made["metadata"]["ownerReferences"] = [{"kind": kind, "name": name, "controller": True}]
    if injected:
        made["metadata"]["annotations"] = {"pgwarden.io/injected": "digest"}
    return made


def look(*workloads: Any, pods: Any = (), repositories: Any = (), **more: Any) -> list[findings.Finding]:
    seen = Seen(workloads=workloads, pods=tuple(pods), repositories=tuple(repositories), **more)
    return findings.findings(seen, make, SETTINGS)


def test_a_workload_that_can_be_injected_is_told_with_its_repository():
    (found,) = look(workload())
    assert (found.title, found.state, found.repository, found.exists) == (
        "statefulset/hippo",
        "injectable",
        "hippo",
        False,
    )
    ((_, patch),) = findings.patches([found])
    assert patch["spec"]["template"]["metadata"]["labels"] == {LABEL: "hippo"}
    assert patch["metadata"] == {"name": "hippo", "namespace": "zoo"}


def test_what_the_webhook_would_refuse_is_told_in_its_own_words():
    (found,) = look(workload(image="kartoza/postgis:17.0"))
    assert found.state == "refused"
    (reason,) = found.reasons
    assert reason.startswith(
        "spec.template.spec.containers[0].securityContext.runAsUser: the user ID of PostgreSQL is not known"
    )
    assert list(findings.patches([found])) == []


def test_the_webhooks_warnings_are_told_before_the_label_comes():
    one = workload()
    one["spec"]["template"]["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}]
    (found,) = look(one)
    assert found.state == "injectable"
    assert "emptyDir data" in found.warnings[0]


LABELLED = workload(labels={LABEL: "rhino"})


@pytest.mark.parametrize(
    ("pods", "there", "state"),
    [
        pytest.param([True, True], True, "protected", id="all injected"),
        pytest.param([], True, "protected", id="no pod runs"),
        pytest.param([True, False], True, "restart owed", id="one started before"),
        pytest.param([True], False, "no Repository", id="it names none"),
    ],
)
def test_of_a_label_that_is_there(pods, there, state):
    made = [pod_of(LABELLED, number, injected=one) for number, one in enumerate(pods)]
    (found,) = look(LABELLED, pods=made, repositories=[make("zoo", "rhino")] if there else [make("other", "rhino")])
    assert (found.state, found.repository, found.injected) == (state, "rhino", sum(pods))
    assert bool(found.reasons) == (state != "protected")


def test_where_repositories_may_not_be_read_none_is_called_missing():
    (found,) = look(LABELLED, knows_repositories=False)
    assert found.state == "protected"


def test_a_repository_that_is_there_is_taken_as_it_is():
    there = make("zoo", "hippo")
    there["spec"]["postgres"]["runAsUser"] = 100
    (found,) = look(workload(image="kartoza/postgis:17.0"), repositories=[there])
    assert (found.state, found.exists) == ("injectable", True)


@pytest.mark.parametrize("kind", ["StatefulSet", "Deployment"])
def test_pods_are_counted_with_their_workload(kind):
    one = workload(kind=kind)
    (found,) = look(one, pods=[pod_of(one, 0), pod_of(one, 1)])
    assert (found.kind, found.name, found.pods) == (kind, "hippo", 2)


@pytest.mark.parametrize("kind", ["StatefulSet", "Deployment"])
def test_pods_alone_tell_of_a_workload_that_may_not_be_read(kind):
    (found,) = look(pods=[pod_of(workload(kind=kind))])
    assert (found.kind, found.name, found.state) == (kind, "hippo", "injectable")


def test_a_pod_that_is_over_counts_for_nothing():
    over = pod_of(workload()) | {"status": {"phase": "Succeeded"}}
    assert look(pods=[over]) == []


OTHERS = {
    "PGO": "Crunchy",
    "CloudNativePG": "CloudNativePG",
    "Zalando": "Zalando",
    "StackGres": "StackGres",
    "KubeDB": "KubeDB",
}


@pytest.mark.parametrize("name", OTHERS)
def test_pods_of_another_operator_are_none_to_label(name):
    (found,) = look(pods=[POSTGRES[name]])
    assert found.state == "another operator's"
    assert found.reasons[0].startswith(OTHERS[name])


def test_a_workload_that_something_unknown_makes_is_none_to_label():
    one = workload()
    one["metadata"]["ownerReferences"] = [{"kind": "AcmeDatabase", "name": "a", "controller": True}]
    (found,) = look(one)
    assert (found.state, found.reasons[0][:14]) == ("another operator's", "AcmeDatabase a")


def test_a_bare_pod_cannot_be_labelled_and_says_so():
    (found,) = look(pods=[POSTGRES["official"]])
    assert (found.state, found.title) == ("no template", "pod/one")
    assert "run it by a StatefulSet" in found.reasons[0]


def test_no_pod_of_kube_system_is_promised():
    one = workload()
    one["metadata"]["namespace"] = "kube-system"
    (found,) = look(one)
    assert found.state == "refused"


def test_what_is_scaled_to_zero_is_found():
    (found,) = look(workload(replicas=0))
    assert (found.state, found.pods) == ("injectable", 0)


def test_what_is_not_postgresql_is_left_out():
    assert look(workload(image="nginx:1", data="/usr/share")) == []


def test_the_same_is_found_in_the_same_order_whatever_the_order_read():
    several = [workload(name) for name in ("c", "a", "b")]
    assert [one.name for one in look(*several)] == ["a", "b", "c"] == [one.name for one in look(*reversed(several))]


def test_nothing_that_is_given_is_changed():
    one = workload()
    before = json.dumps(one)
    look(one, pods=[pod_of(one)])
    assert json.dumps(one) == before


def test_of_several_owners_the_controller_counts():
    one = {"metadata": {"namespace": "zoo", "name": "x", "ownerReferences": [
        {"kind": "ConfigMap", "name": "a"}, {"kind": "StatefulSet", "name": "b", "controller": True}]}}  # fmt: skip
    assert owner_of(one) == ("zoo", "StatefulSet", "b")
