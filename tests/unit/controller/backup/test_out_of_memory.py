"""A backup that fails as a container was killed for want of memory says which, and what to raise."""

from __future__ import annotations

from typing import Any

import pytest

from pgwarden.api import names
from tests.unit.controller.backup.test_returns import World


class Failing(World):
    def _jobs(self) -> None:
        for job in self.of("jobs"):
            job["status"] = {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}


def killed(world: World, container: str, kind: str, at: str | None = None) -> dict[str, Any]:
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": at or world._time()}}
    spec = {"containers": [{"name": container, "resources": {"limits": {"memory": "256Mi"}}}]}
    return {"spec": spec, "status": {kind: [{"name": container, "lastState": ended, "state": {"running": {}}}]}}


CASES = {
    "PostgreSQL's sidecar": ("pgwarden", {names.LABEL_REPOSITORY: "hippo"}, "the Repository's spec.sidecarResources"),
    "the Job's own": (
        "pgbackrest",
        {names.LABEL_BACKUP: "first", names.LABEL_COMPONENT: "backup"},
        "the Repository's spec.resources",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_it_is_named_with_its_limit_and_the_field(case):
    container, labels, field = CASES[case]
    world = Failing()
    world.make("first")
    await world.settled("first", rounds=1)
    about = {"name": "db-0", "namespace": "ns", "labels": labels, "resourceVersion": "9"}
    pod = {"metadata": about} | killed(world, container, "containerStatuses")
    mine = case == "the Job's own"
    if mine:
        about["ownerReferences"] = [{"uid": job["metadata"]["uid"]} for job in world.of("jobs")]
        world.add("pods", "ns", pod | {"spec": pod["spec"] | {"volumes": []}})
    else:
        world.caches.postgres_pods._put(pod)
    status = await world.settled("first")
    assert (status["phase"], status["reason"]) == ("Failed", "BackupFailed")
    assert (
        f"container {container} of pod db-0 was killed for want of memory (OOMKilled with a limit of 256Mi)"
        in (status["message"])
    )
    assert status["message"].endswith(f"raise limits.memory in {field}, or lower process-max or compress-level")


async def test_what_was_killed_before_it_began_is_not_its_cause():
    world = Failing()
    world.make("first")
    about = {"name": "db-0", "namespace": "ns", "labels": {names.LABEL_REPOSITORY: "hippo"}, "resourceVersion": "9"}
    pod = {"metadata": about} | killed(world, "pgwarden", "initContainerStatuses", "2020-01-01T00:00:00Z")
    world.caches.postgres_pods._put(pod)
    status = await world.settled("first")
    assert status["phase"] == "Failed"
    assert "OOMKilled" not in status["message"]
