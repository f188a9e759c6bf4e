"""What Kubernetes refuses is in the Repository's status and Events, in its words: the host's pod, PostgreSQL's, an object."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pgwarden.api import names
from pgwarden.kube import errors, paths
from tests.unit.controller.replicas import by

from .conftest import LOCAL, World

QUOTA = "is forbidden: exceeded quota: small, requested: limits.memory=1Gi, used: limits.memory=0"
HOST = paths.of("deployments", "ns", "hippo-pgbackrest")


def events(world: World) -> list[tuple[str, str]]:
    return [(one["type"], one["reason"]) for one in world.store.events if "type" in one]


def without_host(world: World) -> None:
    """Before the first look at anything."""
    del world.store.objects[paths.of("pods", "ns", "host")]


@pytest.fixture
async def hostless(make) -> World:
    world = make(LOCAL)
    without_host(world)
    await world.look()
    return world


async def test_a_host_that_a_quota_refuses_is_told_at_once_with_a_warning(hostless):
    said = {"type": "ReplicaFailure", "status": "True", "message": f'pods "hippo-pgbackrest-6d5-x2x4z" {QUOTA}'}
    hostless.store.put(HOST, hostless.store.objects[HOST] | {"status": {"conditions": [said]}})
    await hostless.look()
    found = hostless.condition("Reachable")
    assert (found["status"], found["reason"]) == ("False", "PodRefused")
    assert QUOTA in found["message"]
    assert hostless.condition("Ready")["message"] == hostless.status["message"] == found["message"]
    assert ("Warning", "PodRefused") in events(hostless)


STUCK = {
    "no node": ({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}]}, "PodUnschedulable"),
    "no image": (
        {"containerStatuses": [{"name": "pgbackrest", "state": {"waiting": {"reason": "ErrImagePull", "message": "none"}}}]},
        "PodNotStarting",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STUCK)
async def test_a_host_that_does_not_start_is_told_with_a_reason_of_its_own(hostless, case):
    status, reason = STUCK[case]
    labels = {names.LABEL_OWNER_REPOSITORY: "hippo", names.LABEL_COMPONENT: "host"}
    about = {"name": "host", "namespace": "ns", "labels": labels, "resourceVersion": "99", "ownerReferences": by()}
    hostless.caches.own_pods._put({"metadata": about, "spec": {}, "status": status})
    await hostless.look()
    assert hostless.condition("Reachable")["reason"] == reason
    assert ("Warning", reason) in events(hostless)


class Refusing:
    """A policy that does not let the host's Deployment be written."""

    def __init__(self, world: World) -> None:
        self.request, self.on = world.store.request, True
        world.store.request = self  # type: ignore[method-assign,assignment]

    async def __call__(self, method: str, path: str, **more: Any) -> Any:
        if self.on and method == "PATCH" and path == HOST:
            raise errors.Invalid(403, "Forbidden", f"deployments.apps {QUOTA}")
        return await self.request(method, path, **more)


async def test_an_object_that_kubernetes_does_not_take_is_told_and_tried_again(make):
    world = make(LOCAL)
    without_host(world)
    refusing = Refusing(world)
    await world.look()
    found = world.condition("Reachable")
    assert (found["status"], found["reason"]) == ("False", "KubernetesRefuses")
    assert found["message"] == f"Kubernetes refuses it, and it is tried again: deployments.apps {QUOTA}"
    assert ("Warning", "KubernetesRefuses") in events(world)
    refusing.on = False
    await world.look()
    assert world.condition("Reachable")["reason"] == "HostNotReady"
    assert HOST in world.store.objects


async def test_while_the_host_of_before_works_backups_go_on(make):
    world = make(LOCAL)
    await world.until("Ready", timedelta(minutes=5))
    refusing = Refusing(world)
    world.repository(LOCAL | {"resources": {"limits": {"memory": "2Gi"}}})
    await world.look()
    found = world.condition("Reachable")
    assert (found["status"], found["reason"]) == ("True", "KubernetesRefuses")
    assert (world.condition("Ready")["status"], world.status["phase"]) == ("True", "Degraded")
    refusing.on = False
    await world.look()
    assert (world.condition("Reachable")["reason"], world.status["phase"]) == ("HostAnswers", "Ready")


@pytest.mark.parametrize("case", STUCK)
async def test_a_labelled_pod_that_does_not_start_is_told_in_kubernetes_words(make, case):
    """It may be for the sidecar's image."""
    status, reason = STUCK[case]
    world = make(LOCAL)
    await world.look()
    path = paths.of("pods", "ns", "db-0")
    before = world.store.objects[path]
    world.store.put(path, {"metadata": dict(before["metadata"]), "status": status})
    await world.look()
    found = world.condition("Archiving")
    assert found["reason"] == reason
    assert "db-0: " in found["message"]
    (pod,) = world.status["pods"]
    assert pod["message"] in {"cannot be scheduled: 0/3 nodes", "ErrImagePull: none"}
    assert ("Warning", reason) in events(world)


async def postgres_waits(world: World, container: str, *, answers: bool, reason: str = "ImagePullBackOff") -> None:
    """The sidecar runs and its agent answers, while *container* of the pod does not start."""
    await world.look()
    path = paths.of("pods", "ns", "db-0")
    before = world.store.objects[path]
    waiting = {"reason": reason, "message": 'Back-off pulling image "registry.example/postgres:none"'}
    listed = [{"name": container, "state": {"waiting": waiting}}]
    status = before["status"] | {"containerStatuses": listed}
    world.store.put(path, {"metadata": dict(before["metadata"]), "spec": before.get("spec", {}), "status": status})
    world.postgres["db-0"] = {} if answers else {"reachable": False, "error": "connection refused"}
    await world.look()


async def test_a_postgresql_that_ends_again_and_again_does_not_turn_the_reason_with_each_try(make):
    world = make(LOCAL)
    await postgres_waits(world, "postgres", answers=False, reason="CrashLoopBackOff")
    assert world.condition("Archiving")["reason"] == "NoPrimary"


async def test_postgresqls_own_image_that_cannot_be_pulled_is_told_in_the_kubelets_words(make):
    world = make(LOCAL)
    await postgres_waits(world, "postgres", answers=False)
    words = 'ImagePullBackOff: Back-off pulling image "registry.example/postgres:none"'
    found = world.condition("Archiving")
    assert (found["status"], found["reason"]) == ("Unknown", "PodNotStarting")
    assert f"db-0: {words}" in found["message"]
    assert [pod["message"] for pod in world.status["pods"]] == [words]
    assert ("Warning", "PodNotStarting") in events(world)


@pytest.mark.parametrize(("container", "answers"), [("exporter", False), ("exporter", True), ("postgres", True)])
async def test_another_container_that_does_not_start_is_none_of_ours(make, container, answers):
    world = make(LOCAL)
    await postgres_waits(world, container, answers=answers)
    assert world.condition("Archiving")["reason"] != "PodNotStarting"
    assert ("Warning", "PodNotStarting") not in events(world)


async def test_a_labelled_workload_whose_pod_is_refused_is_named(make):
    """Its database does not run: what was Ready before is not said to be in order."""
    world = make(LOCAL)
    await world.until("Archiving", timedelta(minutes=5))
    del world.store.objects[paths.of("pods", "ns", "db-0")]
    (pod,) = world.caches.postgres_pods.items.values()
    world.caches.postgres_pods._drop(pod)
    words = f'create Pod db-0 in StatefulSet db failed error: pods "db-0" {QUOTA}'
    at = world.now.isoformat().replace("+00:00", "Z")
    said = {"involvedObject": {"kind": "StatefulSet", "name": "db"}, "message": words, "lastTimestamp": at}
    world.store.put(paths.of("events", "ns"), {"metadata": {}, "items": [said]})
    template = {"metadata": {"labels": {names.LABEL_REPOSITORY: "hippo"}}}
    spec = {"replicas": 1, "template": template}
    world.store.put(paths.of("statefulsets", "ns", "db"), {"metadata": {}, "spec": spec, "status": {"replicas": 0}})
    await world.look()
    assert (world.status["phase"], world.status["reason"]) == ("Degraded", "PodRefused")
    assert world.status["message"].startswith(
        f"Kubernetes creates no pod of StatefulSet db: {words}; with it counts its"
    )
    assert world.condition("Archiving")["reason"] == "PodRefused"
    assert ("Warning", "PodRefused") in events(world)
