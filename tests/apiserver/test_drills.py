"""Restore drills on a real API server: a schedule makes them, and what somebody writes into their status proves nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from harness.kubectl import Kubectl, condition
from tests.apiserver.manifests import drill_schedule, made, repository
from tests.apiserver.release import Controllers

CHECK = {"name": "orders", "sql": "SELECT count(*) > 0 FROM orders"}


@pytest.fixture(autouse=True)
def leader(webhook, controllers: Controllers) -> None:
    """A module before this one may have ended those that there were."""
    controllers.leader()


@pytest.fixture
def hippo(space: Kubectl) -> Iterator[Kubectl]:
    space.apply(repository("hippo"))
    yield space
    space.run("delete", "pgds,pgdrill,pgr", "--all", "--timeout=60s")


def test_a_schedule_makes_a_drill_with_the_servers_defaults_that_can_be_shown_and_deleted(hippo: Kubectl):
    hippo.apply(drill_schedule("often", schedule="*/2 * * * * *", template={"checks": [CHECK]}))
    found = hippo.until("pgds", "often", lambda one: one.get("status", {}).get("lastDrill"), "has made a drill", 30)
    name = found["status"]["lastDrill"]
    drill = hippo.get("pgdrill", name)
    assert drill is not None
    assert drill["metadata"]["labels"]["pgwarden.io/schedule"] == "often"
    (check,) = drill["spec"]["checks"]
    assert (check["name"], check["timeoutSeconds"]) == ("orders", 60)
    assert drill["spec"]["activeDeadlineSeconds"] == 21600
    assert "often" in hippo.run("get", "pgds").stdout


def test_a_status_that_somebody_writes_on_a_drill_proves_nothing(hippo: Kubectl):
    hippo.apply(made("RestoreDrill", "forged", repository="hippo"))
    hippo.until("pgdrill", "forged", lambda one: one["metadata"].get("finalizers"), "is taken up", 30)
    written = {"phase": "Completed", "completionTime": "2026-11-20T12:00:00Z", "set": "20261101-000000F"}
    patch = yaml.safe_dump({"status": written})
    hippo.run("patch", "pgdrill", "forged", "--subresource=status", "--type=merge", "-p", patch)
    hippo.until("pgdrill", "forged", lambda one: not one["metadata"].get("finalizers"), "counts as over", 30)
    found = hippo.until("pgrepo", "hippo", lambda one: condition(one, "Proven"), "says what is proven", 60)
    assert "lastDrills" not in found["status"]
    verdict = condition(found, "Proven")
    assert verdict is not None
    assert (verdict["status"], verdict["reason"]) == ("Unknown", "NoDrill")
