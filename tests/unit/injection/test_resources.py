"""A pod that starts without us starts with us: the sidecar has the limits that its namespace asks of each container."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pgwarden.api.sizing import Asks, asks
from pgwarden.injection import pipeline
from pgwarden.injection.decide import Inject
from pgwarden.injection.patch import encode

LIMITED = {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}}
USUAL = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}


@pytest.fixture
def sidecar(pod, repository, settings, applied):
    """The sidecar's resources in a pod with these containers, init containers first where they have a restart policy."""

    def build(main: Any, *others: dict[str, Any], inits: Any = (), wanted: Asks | None = None, **spec: Any) -> Any:
        made = pod(**({"resources": main} if main else {}))
        made["spec"]["containers"] += [{"name": f"c{n}", "resources": one} for n, one in enumerate(others)]
        if inits:
            made["spec"]["initContainers"] = [{"name": f"i{n}"} | one for n, one in enumerate(inits)]
        decision = pipeline.decision_on(made, repository(**spec), settings, wanted or Asks())
        assert isinstance(decision, Inject), decision
        once = applied(made, json.loads(encode(pipeline.operations(decision))))
        again = pipeline.decision_on(once, repository(**spec), settings, wanted or Asks())
        assert isinstance(again, Inject)
        assert pipeline.operations(again) == []  # what is ours does not count as the pod's own
        return once["spec"]["initContainers"][0]["resources"]

    return build


def limit_range(kind: str = "Container", **bounds: Any) -> Asks:
    return asks((), [{"spec": {"limits": [{"type": kind, **bounds}]}}])


def test_without_limits_around_it_it_has_no_cpu_limit(sidecar):
    assert sidecar(None) == USUAL


def test_where_each_container_has_a_cpu_limit_it_has_one(sidecar):
    assert sidecar(LIMITED, LIMITED) == USUAL | {"limits": {"memory": "256Mi", "cpu": "1"}}


def test_it_has_no_more_than_postgresql(sidecar):
    assert sidecar({"limits": {"cpu": "300m", "memory": "1Gi"}})["limits"]["cpu"] == "300m"


@pytest.mark.parametrize("others", [{"others": [{}]}, {"inits": [{}]}])
def test_where_one_container_has_none_no_quota_can_ask_for_it(sidecar, others):
    assert sidecar(LIMITED, *others.get("others", ()), inits=others.get("inits", ())) == USUAL


def test_what_the_repository_says_of_it_lacks_nothing_that_a_quota_asks(sidecar):
    given = {"limits": {"memory": "2Gi"}}
    assert sidecar(LIMITED, sidecarResources=given) == {
        "requests": {"cpu": "20m"}, "limits": {"memory": "2Gi", "cpu": "1"}
    }  # fmt: skip
    assert sidecar(None, sidecarResources=given) == given
    assert sidecar(LIMITED, sidecarResources={"limits": {"cpu": "8"}})["limits"]["cpu"] == "8"


def test_it_fits_into_the_namespaces_limit_range(sidecar):
    assert sidecar(None, wanted=limit_range(max={"memory": "128Mi"}))["limits"]["memory"] == "128Mi"
    assert sidecar(None, wanted=limit_range(min={"cpu": "100m"}))["requests"]["cpu"] == "100m"
    assert sidecar(None, wanted=limit_range(maxLimitRequestRatio={"memory": "2"}))["requests"]["memory"] == "128Mi"


def test_it_takes_what_the_others_leave_of_a_pods_limit(sidecar):
    main, wanted = {"limits": {"memory": "700Mi"}}, limit_range("Pod", max={"memory": "1Gi"})
    init = {"resources": {"limits": {"memory": "900Mi"}}}
    assert sidecar(main, wanted=wanted)["limits"]["memory"] == "256Mi"
    assert sidecar(main, {"limits": {"memory": "200Mi"}}, wanted=wanted)["limits"]["memory"] == "124Mi"
    assert sidecar(main, inits=[init], wanted=wanted)["limits"]["memory"] == "124Mi"
    staying = {"restartPolicy": "Always", "resources": {"limits": {"memory": "100Mi"}}}
    assert sidecar(main, inits=[staying], wanted=wanted)["limits"]["memory"] == "224Mi"


def test_what_our_folders_take_of_a_limited_disk_is_added_to_it(sidecar):
    found = sidecar({"limits": {"ephemeral-storage": "100Mi"}})
    assert (found["limits"]["ephemeral-storage"], found["requests"]["ephemeral-storage"]) == ("512Mi", "64Mi")


@pytest.mark.parametrize(
    ("options", "memory"),
    [
        ([], "256Mi"),
        (["--process-max=8"], "256Mi"),
        (["--process-max=16"], "384Mi"),
        (["--process-max=8 --compress-type=zst --compress-level=19"], "1024Mi"),
        (["--process-max=8 --compress-type=gz --compress-level=9"], "256Mi"),
        (["--process-max=64 --compress-type=zst --compress-level=22"], "2048Mi"),  # a warning says that it does not do
    ],
)
def test_its_memory_grows_with_what_a_backup_runs_in_it(sidecar, options, memory):
    assert sidecar(None, options=options)["limits"]["memory"] == memory


def test_processes_that_follow_the_hosts_cpu_count_as_well(sidecar):
    given = {"limits": {"cpu": "8"}}
    options = ["--compress-type=zst --compress-level=12"]
    assert sidecar(None, resources=given, options=options)["limits"]["memory"] == "704Mi"
