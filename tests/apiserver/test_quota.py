"""A labelled pod where a ResourceQuota, or the pod as a whole, leaves little: the API server admits what it would without us.

Nothing counts here what quotas have used: their status is written by these tests.
"""

from __future__ import annotations

import json
import subprocess
import uuid
from typing import Any

import pytest
import yaml

from harness.kubectl import Kubectl
from harness.waiting import until
from tests.apiserver.manifests import postgres_pod, repository
from tests.apiserver.release import Release

LARGE = {"limits": {"cpu": "1", "memory": "2Gi"}, "requests": {"cpu": "200m", "memory": "512Mi"}}
SMALL = {"requests": {"cpu": "100m", "memory": "64Mi"}}
TENTH = {"limits.cpu": "1100m", "limits.memory": "2252Mi", "requests.cpu": "220m", "requests.memory": "563Mi"}


@pytest.fixture
def place(release: Release, webhook) -> Kubectl:
    """A namespace of its own, with a Repository."""
    name = f"quota-{uuid.uuid4().hex[:5]}"
    release.kubectl.run("create", "namespace", name)
    found = release.kubectl.within(name)
    found.apply(repository("hippo"))
    return found


def bounded(place: Kubectl, hard: dict[str, str], used: dict[str, str] | None = None, **spec: Any) -> None:
    """A quota, in force: pods are held against its status."""
    place.apply(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": hard} | spec}
    )
    status = {"status": {"hard": hard, "used": dict.fromkeys(hard, "0") | (used or {})}}
    place.run("patch", "resourcequota", "small", "--subresource=status", "--type=merge", "-p", json.dumps(status))


def create(place: Kubectl, resources: Any, label: str = "hippo", /, **spec: Any) -> subprocess.CompletedProcess[str]:
    pod = postgres_pod("postgres-0", repository=label)
    pod["spec"]["containers"][0] |= {"resources": resources} if resources else {}
    pod["spec"] |= spec
    dry = () if label else ("--dry-run=server",)
    return place.run("create", "-f", "-", *dry, stdin=yaml.safe_dump(pod), check=False)


def sidecar(place: Kubectl) -> Any:
    return place.get("pod", "postgres-0")["spec"]["initContainers"][0]["resources"]


CASES: dict[str, tuple[Any, Any, dict[str, Any], Any]] = {
    "a tenth is left": (
        (TENTH, {}), LARGE, {},
        {"limits": {"cpu": "100m", "memory": "204Mi"}, "requests": {"cpu": "20m", "memory": "51Mi"}},
    ),
    "a quota for pods that name something, and a pod that names nothing": (
        ({"requests.cpu": "1", "limits.memory": "1Gi"}, {"scopes": ["NotBestEffort"]}), None, {}, {},
    ),
    "a pod that is limited as a whole": (
        None, SMALL, {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}},
        {"limits": {"memory": "256Mi"}, "requests": {"cpu": "0", "memory": "0"}},
    ),
    "a pod that requests as a whole what its container does": (
        None, SMALL, {"resources": SMALL | {"limits": {"memory": "200Mi"}}},
        {"limits": {"memory": "200Mi"}, "requests": {"cpu": "0", "memory": "0"}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_pod_that_starts_without_us_starts_with_us(place: Kubectl, name):
    quota, resources, spec, wanted = CASES[name]
    if quota is not None:
        bounded(place, quota[0], **quota[1])
    until(lambda: not create(place, resources, "", **spec).returncode, "it is admitted without us", 20)
    until(lambda: not create(place, resources, **spec).returncode, "it is admitted with us", 20)
    assert sidecar(place) == wanted


def test_where_not_even_the_least_fits_kubectl_is_told_what_is_lacking(place: Kubectl):
    bounded(place, TENTH | {"limits.cpu": "1020m"})
    said = until(lambda: told if "Warning" in (told := create(place, LARGE).stderr) else "", "it is told", 20)
    assert (
        "ResourceQuota small leaves 20m of limits.cpu beside this pod's containers, and the sidecar needs 50m" in said
    )
    assert "exceeded quota: small" in said
    assert place.get("pod", "postgres-0") is None
