"""What a namespace's ResourceQuotas and LimitRanges make of the requests and limits that we set."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from pgwarden.api.quantity import parse_quantity
from pgwarden.api.sizing import Asks, Size, asks, fitted

SIZE = Size(
    always={"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
    if_asked={"limits.cpu": "1", "limits.ephemeral-storage": "1Gi"},
)


def quota(*names: str) -> dict[str, Any]:
    return {"spec": {"hard": dict.fromkeys(names, "8")}}


def limit_range(kind: str = "Container", **bounds: Any) -> dict[str, Any]:
    return {"spec": {"limits": [{"type": kind, **bounds}]}}


def made(*ranges: dict[str, Any], quotas: Any = (), given: Any = None) -> dict[str, Any]:
    return fitted(given, SIZE, asks(quotas, ranges))


def test_in_a_namespace_that_asks_nothing_our_own_values_hold():
    assert made() == SIZE.always


@pytest.mark.parametrize("hard", ["limits.cpu", "count/pods", "requests.storage", "limits.ephemeral-storage", "pods"])
def test_a_cpu_limit_is_there_only_where_a_quota_counts_cpu_limits(hard):
    assert ("cpu" in made(quotas=[quota(hard)])["limits"]) == (hard == "limits.cpu")


def test_what_the_user_has_set_is_left_and_only_what_a_quota_misses_is_added():
    given = {"limits": {"memory": "2Gi"}}
    wanted = [quota("limits.cpu", "limits.memory", "requests.cpu", "requests.memory")]
    assert made(quotas=wanted, given=given) == {
        "requests": {"cpu": "50m"},  # that of memory is its limit
        "limits": {"memory": "2Gi", "cpu": "1"},
    }
    assert made(given=given) == given


def test_an_added_limit_is_no_less_than_the_users_request():
    assert made(quotas=[quota("limits.cpu")], given={"requests": {"cpu": "3"}})["limits"] == {"cpu": "3"}


def test_an_older_name_of_a_request_counts_too():
    assert asks([quota("cpu", "memory")], []).named == {"requests.cpu", "requests.memory"}


def test_a_maximum_lowers_our_limit_and_a_request_above_it():
    assert made(limit_range(max={"memory": "64Mi"}))["limits"]["memory"] == "64Mi"
    assert made(limit_range(max={"memory": "64Mi"}))["requests"]["memory"] == "64Mi"
    assert made(limit_range(max={"memory": "512Mi"})) == {
        "requests": SIZE.always["requests"],
        "limits": {"memory": "512Mi"},
    }


def test_a_minimum_raises_request_and_limit():
    found = made(limit_range(min={"memory": "2Gi", "cpu": "100m"}))
    assert found == {"requests": {"cpu": "100m", "memory": "2Gi"}, "limits": {"memory": "2Gi"}}


def test_a_ratio_raises_the_request():
    assert made(limit_range(maxLimitRequestRatio={"memory": "2"}))["requests"]["memory"] == "512Mi"


def test_a_ratio_of_cpu_needs_a_limit_which_kubernetes_does_not_fill_in_by_itself():
    found = made(limit_range(maxLimitRequestRatio={"cpu": "4"}))
    assert (found["requests"]["cpu"], found["limits"]["cpu"]) == ("250m", "1")


def test_with_a_default_limit_the_request_keeps_the_ratio_to_that_and_the_limit_is_left_to_kubernetes():
    found = made(limit_range(default={"cpu": "500m"}, maxLimitRequestRatio={"cpu": "2"}))
    assert (found["requests"]["cpu"], "cpu" in found["limits"]) == ("250m", False)


def test_a_request_of_ours_is_not_above_the_limit_that_kubernetes_fills_in():
    assert made(limit_range(default={"cpu": "10m"}))["requests"]["cpu"] == "10m"


def test_the_users_own_values_are_never_moved():
    given = {"requests": {"memory": "1Gi"}, "limits": {"memory": "4Gi"}}
    assert made(limit_range(max={"memory": "64Mi"}, maxLimitRequestRatio={"memory": "1"}), given=given) == given


def test_of_several_limit_ranges_the_narrowest_counts():
    found = made(limit_range(max={"memory": "512Mi"}), limit_range(max={"memory": "256Mi"}, min={"cpu": "100m"}))
    assert (found["limits"]["memory"], found["requests"]["cpu"]) == ("256Mi", "100m")


def test_what_a_pod_may_have_is_shared_by_the_containers_that_run_at_once():
    wanted = asks([], [limit_range("Pod", max={"memory": "1Gi", "cpu": "1"})]).shared_by(2)
    assert fitted(None, SIZE, wanted)["limits"] == {"memory": "512Mi"}


def test_beside_other_containers_what_they_leave_is_ours():
    wanted = asks([], [limit_range("Pod", max={"memory": "1Gi"})])
    left = wanted.beside({"memory": Fraction(1024**3 * 3 // 4)})
    assert fitted(None, SIZE, left)["limits"]["memory"] == "256Mi"


def test_where_they_leave_nothing_no_size_would_help():
    full = asks([], [limit_range("Pod", max={"memory": "1Gi"})]).beside({"memory": Fraction(1024**3)})
    assert fitted(None, SIZE, full) == SIZE.always


@pytest.mark.parametrize(
    "strange", [{}, {"spec": None}, {"spec": {"limits": "x"}}, {"spec": {"limits": [{"type": 3, "max": []}]}},
                {"spec": {"limits": [{"type": "Container", "max": {"memory": "much"}, "min": {"cpu": None}}]}}]
)  # fmt: skip
def test_what_is_no_limit_range_says_nothing(strange):
    assert made(strange, quotas=[{}, {"spec": {"hard": 1}}]) == SIZE.always


#: LimitRanger's own checks, of what it would see.
def _is_admitted(container: dict[str, Any], item: dict[str, Any]) -> bool:
    limits, requests = dict(container.get("limits", {})), dict(container.get("requests", {}))
    for name, value in item.get("default", {}).items():
        limits.setdefault(name, value)
    for name, value in limits.items():
        requests.setdefault(name, value)
    number = {b: {k: parse_quantity(v) for k, v in of.items()} for b, of in (("l", limits), ("r", requests))}
    for name, value in item.get("max", {}).items():
        if number["l"].get(name, 10**30) > parse_quantity(value) or number["r"].get(name, 0) > parse_quantity(value):
            return False
    for name, value in item.get("min", {}).items():
        if number["r"].get(name, 0) < parse_quantity(value) or number["l"].get(name, 10**30) < parse_quantity(value):
            return False
    for name, value in item.get("maxLimitRequestRatio", {}).items():
        if not number["r"].get(name) or number["l"].get(name) is None:
            return False
        if number["l"][name] / number["r"][name] > parse_quantity(value):
            return False
    return all(number["r"][name] <= number["l"].get(name, 10**30) for name in number["r"])


BOUNDS = [
    {"max": {"memory": "200Mi"}},
    {"max": {"memory": "32Mi", "cpu": "30m"}},
    {"min": {"memory": "200Mi", "cpu": "1"}},
    {"min": {"cpu": "100m"}, "max": {"cpu": "2", "memory": "512Mi"}},
    {"maxLimitRequestRatio": {"memory": "1", "cpu": "1"}},
    {"maxLimitRequestRatio": {"cpu": "3", "memory": "1.5"}, "max": {"memory": "500Mi"}},
    {"maxLimitRequestRatio": {"cpu": "3"}, "max": {"cpu": "700m"}},
    {"min": {"memory": "2Gi"}, "maxLimitRequestRatio": {"memory": "7"}},
]


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
@pytest.mark.parametrize("named", [(), ("limits.cpu",)])
def test_what_comes_of_it_is_admitted(bounds, named):
    item = bounds | {"default": bounds.get("max", {})}  # as the API server completes it
    found = fitted(None, SIZE, asks([quota(*named)], [limit_range(**item)]))
    assert _is_admitted(found, item), found
    assert all(word.split(".")[1] in found["limits"] for word in named)


def test_asks_are_values():
    assert hash(asks([quota("limits.cpu")], [limit_range(max={"cpu": "1"})])) != hash(Asks())
