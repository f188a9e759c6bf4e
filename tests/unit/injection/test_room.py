"""What ResourceQuotas and the pod's own resources leave for a sidecar, and what it makes of that."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwarden.api.quantity import parse_quantity
from pgwarden.api.sizing import LEAST, Asks, asks
from pgwarden.injection import pipeline, pods, resources, room
from pgwarden.injection.decide import Inject
from pgwarden.injection.patch import encode

MAIN = {"limits": {"cpu": "1", "memory": "2Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}}
USUAL = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "256Mi", "cpu": "1"}}
SHRUNK = "pgwarden.io/shrunk"


def quota(hard: dict[str, str], used: dict[str, str] | None = None, name: str = "small", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "zoo", "resourceVersion": "1"},
        "spec": {"hard": hard} | spec,
        "status": {"hard": hard, "used": used or {}},
    }


def read(*quotas: dict[str, Any]) -> list[room.Quota]:
    return [found for one in quotas if (found := room.read(room.outline(one))) is not None]


@pytest.fixture
def injected(pod, repository, settings, applied):
    """A pod with these quotas in its namespace, injected; with its warnings. Keywords: of the Repository's spec."""

    def build(*quotas: Any, main: Any = MAIN, of_pod: Any = None, wanted: Asks | None = None, **spec: Any) -> Any:
        made = pod(**({"resources": main} if main else {}))
        made["spec"] |= of_pod or {}
        found = pipeline.decision_on(made, repository(**spec), settings, wanted or Asks(), read(*quotas))
        assert isinstance(found, Inject), found
        once = applied(made, json.loads(encode(pipeline.operations(found))))
        again = pipeline.decision_on(once, repository(**spec), settings, wanted or Asks(), read(*quotas))
        assert isinstance(again, Inject)
        assert pipeline.operations(again) == []  # what is ours does not count as the pod's own
        return once, found.warnings

    return build


def sizes(pod: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = pod["spec"]["initContainers"][0]["resources"]
    return found


LESS = {
    "a CPU limit": ({"limits.cpu": "1100m"}, {}, {("limits", "cpu"): "100m"}),
    "a CPU limit beside what others use": ({"limits.cpu": "8"}, {"limits.cpu": "6900m"}, {("limits", "cpu"): "100m"}),
    "a memory limit": ({"limits.memory": "2200Mi"}, {}, {("limits", "memory"): "152Mi"}),
    "requests": (
        {"requests.cpu": "512m", "requests.memory": "1064Mi"}, {},
        {("requests", "cpu"): "12m", ("requests", "memory"): "40Mi"},
    ),
    "requests by their older names": (
        {"cpu": "512m", "memory": "1064Mi"}, {}, {("requests", "cpu"): "12m", ("requests", "memory"): "40Mi"},
    ),
    "whole MiB": ({"limits.memory": "2200.5Mi"}, {}, {("limits", "memory"): "152Mi"}),
    "the least": (
        {"limits.cpu": "1010m", "limits.memory": "2100Mi", "requests.cpu": "501m", "requests.memory": "1Gi"}, {},
        {("limits", "cpu"): "50m", ("limits", "memory"): "128Mi",
         ("requests", "cpu"): "10m", ("requests", "memory"): "32Mi"},
    ),
    "the least where others use more than all": (
        {"limits.cpu": "1"}, {"limits.cpu": "3"}, {("limits", "cpu"): "50m"},
    ),
    "nothing where there is enough": ({"limits.cpu": "2", "requests.memory": "1088Mi", "limits.memory": "2304Mi"}, {}, {}),
    "nothing by what does not count containers": ({"pods": "1", "count/secrets": "0", "requests.storage": "1"}, {}, {}),
    "nothing by what is no quantity": ({"limits.cpu": "much"}, {"limits.cpu": "1"}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", LESS)
def test_the_sidecar_takes_what_a_quota_has_left(injected, name):
    hard, used, wanted = LESS[name]
    made, _ = injected(quota(hard, used))
    usual = {(bound, key): value for bound, values in USUAL.items() for key, value in values.items()}
    assert {(b, k): v for b, values in sizes(made).items() for k, v in values.items()} == usual | wanted


def test_what_is_less_is_told_with_the_quota_in_a_warning_and_on_the_pod(injected):
    made, warnings = injected(quota({"limits.cpu": "1100m"}), quota({"requests.memory": "1070Mi"}, name="other"))
    said = (
        "requests.memory 46Mi instead of 64Mi (ResourceQuota other), limits.cpu 100m instead of 1 (ResourceQuota small)"
    )
    assert made["metadata"]["annotations"][SHRUNK] == said
    assert warnings == (f"the sidecar pgwarden gets less than usual, as there is no more room: {said}",)


def test_what_does_not_fit_at_all_is_told_with_what_is_left_and_what_is_needed(injected):
    _, (warning,) = injected(quota({"limits.cpu": "1020m"}))
    assert warning == (
        "ResourceQuota small leaves 20m of limits.cpu beside this pod's containers, and the sidecar needs 50m: "
        "Kubernetes refuses the pod; make room in this namespace"
    )


def test_with_enough_room_nothing_is_told(injected):
    made, warnings = injected(quota({"limits.cpu": "4", "limits.memory": "8Gi"}))
    assert (SHRUNK in made["metadata"]["annotations"], warnings) == (False, ())


def test_what_the_user_has_set_is_not_shrunk(injected):
    given = {"limits": {"cpu": "800m", "memory": "200Mi"}, "requests": {"cpu": "300m", "memory": "100Mi"}}
    made, (warning,) = injected(quota({"limits.cpu": "1100m"}), sidecarResources=given)
    assert sizes(made) == given
    assert "leaves 100m of limits.cpu" in warning
    assert "needs 800m" in warning


def test_of_what_the_user_has_set_only_what_is_added_is_shrunk_and_not_below_the_users_request(injected):
    made, _ = injected(quota({"limits.cpu": "1100m"}), sidecarResources={"requests": {"cpu": "300m", "memory": "1Mi"}})
    assert sizes(made)["limits"]["cpu"] == "300m"
    assert sizes(made)["requests"] == {"cpu": "300m", "memory": "1Mi"}


def test_a_copy_of_a_pod_that_was_short_of_room_no_longer_says_so_where_there_is_enough(
    injected, repository, settings, applied
):
    made, _ = injected(quota({"limits.cpu": "1100m"}))
    found = pipeline.decision_on(made, repository(), settings)
    assert isinstance(found, Inject)
    now = applied(made, json.loads(encode(pipeline.operations(found))))
    assert (sizes(now), SHRUNK in now["metadata"]["annotations"]) == (USUAL, False)


def test_the_narrowest_of_several_quotas_counts(injected):
    hard = {"wide": "1300m", "narrow": "1100m", "middle": "1200m"}
    made, _ = injected(*(quota({"limits.cpu": most}, name=name) for name, most in hard.items()))
    assert sizes(made)["limits"]["cpu"] == "100m"
    assert made["metadata"]["annotations"][SHRUNK] == "limits.cpu 100m instead of 1 (ResourceQuota narrow)"


def test_a_limit_ranges_ratio_and_minimum_hold_for_what_is_shrunk(injected):
    ratio = asks((), [{"spec": {"limits": [{"type": "Container", "maxLimitRequestRatio": {"cpu": "4"}}]}}])
    made, _ = injected(quota({"requests.cpu": "600m"}), wanted=ratio)
    assert (sizes(made)["requests"]["cpu"], sizes(made)["limits"]["cpu"]) == ("100m", "400m")
    least = asks((), [{"spec": {"limits": [{"type": "Container", "min": {"cpu": "200m"}}]}}])
    made, _ = injected(quota({"limits.cpu": "1100m"}), wanted=least)
    assert sizes(made)["limits"]["cpu"] == "200m"


SCOPED: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "none": ({}, {}, True),
    "pods that name something": ({"scopes": ["NotBestEffort"]}, {}, True),
    "pods that end": ({"scopes": ["Terminating"]}, {}, False),
    "pods that end, and this does": ({"scopes": ["Terminating"]}, {"activeDeadlineSeconds": 60}, True),
    "pods that stay": ({"scopes": ["NotTerminating"]}, {}, True),
    "another priority": (
        {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}},
        {"priorityClassName": "low"}, False,
    ),
    "this priority": (
        {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}},
        {"priorityClassName": "high"}, True,
    ),
    "any priority": (
        {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}, {}, False,
    ),
    "all but one priority": (
        {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "NotIn", "values": ["a"]}]}},
        {"priorityClassName": "b"}, True,
    ),
    "what is not known here": ({"scopes": ["CrossNamespacePodAffinity"]}, {}, False),
}  # fmt: skip


@pytest.mark.parametrize("name", SCOPED)
def test_a_quota_bounds_only_the_pods_of_its_scopes(injected, name):
    spec, of_pod, counts = SCOPED[name]
    made, _ = injected(quota({"limits.cpu": "1100m"}, **spec), of_pod=of_pod)
    assert (sizes(made)["limits"]["cpu"] == "100m") == counts


@pytest.mark.parametrize("hard", [{"requests.cpu": "1"}, {"pods": "3"}])
def test_a_pod_that_names_nothing_stays_one_where_a_quota_is_for_those_that_do(injected, hard):
    """Else the quota would ask of PostgreSQL's container what it does not name, or count the pod."""
    for nothing in (None, {"requests": {"cpu": "0"}}):
        made, _ = injected(quota(hard, scopes=["NotBestEffort"]), main=nothing)
        assert sizes(made) == {}
    given = {"limits": {"memory": "1Gi"}}
    assert sizes(injected(quota(hard, scopes=["NotBestEffort"]), main=None, sidecarResources=given)[0]) == given


def test_a_pods_own_resources_bound_its_sidecar(injected):
    """Kubernetes refuses a pod whose containers request more than the pod does, or one of which may have more."""
    whole = {"requests": {"cpu": "500m", "memory": "1064Mi"}, "limits": {"cpu": "1", "memory": "200Mi"}}
    made, _ = injected(of_pod={"resources": whole})
    assert sizes(made) == {"requests": {"cpu": "0", "memory": "40Mi"}, "limits": {"cpu": "1", "memory": "200Mi"}}
    assert "the pod's own spec.resources" in made["metadata"]["annotations"][SHRUNK]


def test_a_pod_that_names_it_as_a_whole_uses_no_more_of_a_quota_with_a_sidecar(injected):
    whole = {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}}
    made, _ = injected(quota({"limits.cpu": "2", "requests.memory": "4Gi"}), of_pod={"resources": whole})
    assert sizes(made) == USUAL


def container(cpu: str, name: str = "c", **more: Any) -> dict[str, Any]:
    return {"name": name, "resources": {"limits": {"cpu": cpu}}} | more


TOGETHER: dict[str, tuple[dict[str, Any], str]] = {
    "all that run at once": ({"containers": [container("1"), container("2")]}, "3"),
    "one that ends before, if it has more": ({"containers": [container("1")], "initContainers": [container("4")]}, "4"),
    "not one that ends before and has less": (
        {"containers": [container("2")], "initContainers": [container("1")]}, "2",
    ),
    "sidecars": (
        {"containers": [container("1")], "initContainers": [container("1", restartPolicy="Always")]}, "2",
    ),
    "one that ends before, beside a sidecar that is there already": (
        {"containers": [container("1")], "initContainers": [container("1", restartPolicy="Always"), container("3")]}, "4",
    ),
    "not ours": (
        {"containers": [container("1")], "initContainers": [container("5", "pgwarden", restartPolicy="Always")]}, "1",
    ),
    "what the runtime takes": ({"containers": [container("1")], "overhead": {"cpu": "250m"}}, "1250m"),
}  # fmt: skip


@pytest.mark.parametrize("name", TOGETHER)
@pytest.mark.parametrize("bound", ["limits", "requests"])
def test_a_pod_has_what_kubernetes_counts(name, bound):
    spec, wanted = TOGETHER[name]
    assert room.together(pods.read({"spec": spec}), bound)["cpu"] == parse_quantity(wanted)


def test_what_runtime_takes_counts_towards_a_limit_only_where_there_is_one():
    spec = {"containers": [{"name": "a"}], "overhead": {"cpu": "250m"}}
    assert "cpu" not in room.together(pods.read({"spec": spec}), "limits")


@pytest.mark.parametrize(
    "strange",
    [{}, {"status": None}, {"status": {"hard": []}}, {"status": {"hard": {"limits.cpu": None}, "used": "x"}},
     {"status": {"hard": {"limits.cpu": {}}}, "spec": {"scopes": 3, "scopeSelector": {"matchExpressions": [1]}}}],
)  # fmt: skip
def test_what_is_no_quota_bounds_nothing(strange):
    assert read({"metadata": {"name": "x", "namespace": "zoo", "resourceVersion": "1"}} | strange) == []


def test_of_a_quota_no_more_is_kept_than_is_looked_at():
    kept = room.outline(quota({"pods": "3", "secrets": "8"}) | {"metadata": {"name": "a", "managedFields": [1]}})
    assert kept == {"metadata": {"namespace": "", "name": "a", "resourceVersion": ""}}


MILLI = st.integers(0, 3000).map(lambda number: f"{number}m")
BYTES = st.integers(0, 4 * 1024**3).map(str)
KEYS = {word: BYTES if word.endswith("memory") else MILLI for word in LEAST if not word.endswith("storage")}
HARD = st.fixed_dictionaries({}, optional=KEYS)
GIVEN = st.none() | st.fixed_dictionaries(
    {},
    optional={b: st.fixed_dictionaries({}, optional={"cpu": MILLI, "memory": BYTES}) for b in ("requests", "limits")},
)


@given(hard=HARD, used=HARD, chosen=GIVEN)
def test_whatever_is_left_no_more_is_taken_none_is_below_the_least_and_the_users_stay(hard, used, chosen):
    seen = pods.read({"spec": {"containers": [{"name": "postgres", "resources": MAIN}]}})
    beside = resources.company(seen, 0)
    wanted = room.within(Asks(), seen, read(quota(hard, used)), resources.most("256Mi"))
    found = resources.sidecar(chosen, "256Mi", beside, wanted)
    usual = resources.sidecar(chosen, "256Mi", beside, Asks())
    for word in KEYS:
        bound, name = word.split(".")
        value, before = (parse_quantity(one.get(bound, {}).get(name)) for one in (found, usual))
        users = (chosen or {}).get(bound, {}).get(name)
        if users is not None:
            assert found[bound][name] == users
        elif value is not None and before is not None:
            request = parse_quantity((chosen or {}).get("requests", {}).get(name)) or Fraction(0)
            assert min(before, parse_quantity(LEAST[word]) or 0) <= value <= before
            if word in hard:
                rest = (parse_quantity(hard[word]) or 0) - (parse_quantity(used.get(word)) or 0)
                rest -= parse_quantity(MAIN[bound][name]) or 0
                assert value <= max(rest, parse_quantity(LEAST[word]) or 0, request)
            if bound == "requests":
                limit = parse_quantity(found.get("limits", {}).get(name))
                assert (
                    limit is None
                    or value <= limit
                    or limit == parse_quantity((chosen or {}).get("limits", {}).get(name))
                )
