"""A Repository, a StatefulSet and the controller of Restores on the fake cluster."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.context import Caches, Context
from controller.restore.reconcile import RestoreController
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.kube import errors
from pgwarden.kube.events import Recorder
from tests.unit.controller.restore.agents import FakeAgents
from tests.unit.controller.restore.fake_cluster import SETTINGS, Cluster, Killed


@pytest.fixture
def settings() -> Settings:
    return SETTINGS


@pytest.fixture
def cluster() -> Cluster:
    """A Repository with a host, and a StatefulSet `pg` of one replica on a volume whose data is "old"."""
    fake = Cluster()
    fake.add("repositories", "ns", {"kind": "Repository", "apiVersion": names.API_VERSION, "metadata": {"name": "hippo"},
                                    "spec": {"storageType": "local"}})  # fmt: skip
    reference = {"namespace": "ns", "name": "data-pg-0", "uid": "uid-3"}
    fake.add(
        "persistentvolumes",
        "",
        {"metadata": {"name": "pv-old"}, "spec": {"persistentVolumeReclaimPolicy": "Delete", "claimRef": reference}},
    )
    claim = {
        "metadata": {"name": "data-pg-0", "labels": {"app": "pg"}, "annotations": {"note": "mine", "pv.kubernetes.io/bind-completed": "yes"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "standard", "volumeName": "pv-old"},
        "status": {"phase": "Bound"},
    }  # fmt: skip
    fake.data["pv-old"] = "old"
    assert fake.add("persistentvolumeclaims", "ns", claim)["metadata"]["uid"] == "uid-3"
    container = {
        "name": "postgres",
        "image": "postgres:18",
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
    }
    template = {"metadata": {"labels": {names.LABEL_REPOSITORY: "hippo"}}, "spec": {"containers": [container]}}
    fake.add("statefulsets", "ns", {"metadata": {"name": "pg"}, "spec": {"replicas": 1, "template": template}})
    fake.run_host()
    fake.now += timedelta(seconds=1)
    fake.settle()
    return fake


class Run:
    """A controller on the fake cluster: `until_over` reconciles as the queue would, the clock going on meanwhile."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.agents = FakeAgents(cluster)
        self.speed = 1  # how much faster the clock goes
        self.restart()

    def restart(self) -> None:
        caches = Caches(self.cluster)
        for repository in self.cluster.of("repositories"):
            caches.repositories.items["ns", repository["metadata"]["name"]] = repository
        for one in self.cluster.of("deployments"):
            caches.deployments.items["ns", one["metadata"]["name"]] = one
        agents: Any = self.agents
        recorder = Recorder(self.cluster, "test")
        self.controller = RestoreController(
            Context(self.cluster, caches, agents, recorder, SETTINGS, clock=lambda: self.cluster.now)
        )

    def create(self, name: str = "back", *, annotations: dict[str, str] | None = None, **spec: Any) -> None:
        metadata = {"name": name} | ({"annotations": annotations} if annotations else {})
        body = {"apiVersion": names.API_VERSION, "kind": "Restore", "metadata": metadata}
        self.cluster.add("restores", "ns", body | {"spec": {"repository": "hippo"} | spec})

    async def until_over(self, name: str = "back", rounds: int = 200) -> Object:
        for _ in range(rounds):
            try:
                again = await self.controller.reconcile(("ns", name))
            except Killed:
                self.restart()
                continue
            except (errors.Conflict, errors.NotFound):  # the queue tries again
                continue
            if again is None:
                break
            self.cluster.now += timedelta(seconds=max(again, 0.1) * self.speed)
        found = self.cluster.objects.get(("restores", "ns", name))
        return found["status"] if found else {}


@pytest.fixture
def run(cluster: Cluster) -> Run:
    return Run(cluster)
