"""A PostgresCluster two of whose instances are on nodes of their own, one of which is lost: what is told and what is deleted."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
from prometheus_client import REGISTRY

from controller.cluster import reconcile
from controller.cluster.reconcile import ClusterController
from controller.context import Caches, Context
from controller.nodes import HOSTNAME, OUT_OF_SERVICE
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.kube import errors
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from pgwarden.kube.events import Recorder
from tests.unit.controller.cluster.conftest import NOW, facts, gathered, instance, spec
from tests.unit.controller.replicas import by, replica_set

Object = dict[str, Any]
KEY = ("ns", "hippo")
OWNER = {"kind": "PostgresCluster", "name": "hippo", "uid": "c", "controller": True}
CLAIM = {
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "hippo-1", "namespace": "ns", "uid": "v", "ownerReferences": [OWNER]},
    "spec": {"volumeName": "pv"},
}
SECRET = {
    "kind": "Secret",
    "metadata": {"name": "hippo-credentials", "namespace": "ns", "resourceVersion": "1", "ownerReferences": [OWNER]},
}
ONLY_HERE = [{"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": ["n2"]}]}]
VOLUME = {"metadata": {"name": "pv"}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": ONLY_HERE}}}}


def node(*taints: str) -> Object:
    """Silent."""
    return {
        "metadata": {"name": "n2", "labels": {HOSTNAME: "n2"}},
        "spec": {"taints": [{"key": one} for one in taints]},
        "status": {
            "conditions": [{"type": "Ready", "status": "Unknown", "lastTransitionTime": "2026-11-23T11:59:00Z"}]
        },
    }


class Api(KubeClient):
    """Objects by the last word of their path, and what was deleted and told."""

    def __init__(self) -> None:
        super().__init__(Access("http://fake", None))
        self.there: dict[str, Object] = {"hippo-1": CLAIM, "pv": VOLUME, "n2": node(), "hippo-credentials": SECRET}
        self.deleted: list[tuple[str, str | None]] = []
        self.events: list[tuple[str, str]] = []
        self.status: Object = {}

    async def request(self, method: str, path: str, *, body: Any = None, params: Any = None, **_: Any) -> Any:
        plural, name = path.rsplit("/", 2)[-2:]
        if method == "GET" and params and "labelSelector" in params:
            return {"items": [one for one in self.there.values() if HOSTNAME in one["metadata"].get("labels", {})]}
        if method == "GET" and name not in self.there:
            raise errors.NotFound(404, "NotFound", path)
        if method == "DELETE":
            self.deleted.append((plural, name))
        elif name == "events":
            self.events.append((body["reason"], body["message"]))
        elif name == "status":
            self.status |= {one["path"].removeprefix("/status/"): one["value"] for one in body if one["op"] == "add"}
        return copy.deepcopy(self.there[name]) if method == "GET" else body or {}


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def controller(api: Api, monkeypatch: pytest.MonkeyPatch) -> ClusterController:
    """hippo-1 was the primary, on n2; hippo-2 is it now."""
    settings = Settings.from_environment({"PGWARDEN_IMAGE": "pgwarden:test"})
    agents: Any = None
    context = Context(api, Caches(api), agents, Recorder(api, "c"), settings, clock=lambda: NOW)
    found = facts(
        instance(1, ready=False),
        instance(2, "primary"),
        spec=spec(replicas=2),
        status={"phase": "Ready", "initialized": True},
    )
    cluster = found.cluster | {
        "kind": "PostgresCluster",
        "apiVersion": names.API_VERSION,
        "spec": {"instances": {"replicas": 2, "storage": {"size": "1Gi"}}, "repository": {"storageType": "local"}},
    }
    context.caches.clusters._put(cluster)
    pod = copy.deepcopy(found.instances[0].pod or {})
    deployment = found.instances[0].deployment
    api.there["hippo-1-5d"] = replica_set(deployment)
    pod["metadata"] |= {
        "namespace": "ns",
        "ownerReferences": by("hippo-1"),
        "labels": {names.LABEL_INSTANCE: "hippo-1", names.LABEL_REPOSITORY: "hippo"},
    }
    context.caches.postgres_pods._put(pod | {"spec": {"nodeName": "n2"}})
    whole = dataclasses.replace(found, cluster=cluster)
    monkeypatch.setattr(reconcile, "gather", gathered(whole))
    return ClusterController(context)


def waiting() -> float | None:
    return REGISTRY.get_sample_value("pgwarden_instances_without_node", {"namespace": "ns", "name": "hippo"})


async def test_of_a_silent_node_it_is_told_once_and_nothing_is_deleted(controller: ClusterController, api: Api):
    for _ in range(3):
        await controller.reconcile(KEY)
    assert api.deleted == []
    told = [message for reason, message in api.events if reason == "NodeNotReady"]
    assert len(told) == 1
    assert told[0].startswith("hippo-1 is on node n2, which has not been Ready since 2026-11-23T11:59:00Z")
    assert next(one for one in api.status["conditions"] if one["type"] == "Complete")["reason"] == "NodeNotReady"
    assert waiting() == 1


PROOFS = {"deleted": None, "told to be off": node(OUT_OF_SERVICE)}


@pytest.mark.parametrize("case", PROOFS)
async def test_of_a_node_that_is_gone_the_claim_and_the_deployment_go(
    controller: ClusterController, api: Api, case: str
):
    gone = PROOFS[case]
    if gone is None:
        del api.there["n2"]
    else:
        api.there["n2"] = gone
    await controller.reconcile(KEY)
    assert api.deleted == [("persistentvolumeclaims", "hippo-1"), ("deployments", "hippo-1")]
    assert [reason for reason, _ in api.events if reason == "Remove"]


async def test_with_the_cluster_goes_its_figure(controller: ClusterController, api: Api):
    await controller.reconcile(KEY)
    assert waiting() == 1
    controller._context.caches.clusters.items.clear()
    await controller.reconcile(KEY)
    assert waiting() is None


async def test_an_instance_that_is_empty_is_lost_where_nobody_has_the_data(
    controller: ClusterController, api: Api, monkeypatch: pytest.MonkeyPatch
):
    """Its claim was deleted and made again: Patroni waits for somebody to copy from."""
    before = await reconcile.gather(controller._context, {})
    alone = dataclasses.replace(
        before,
        instances=(instance(1, "uninitialized", ready=False),),
        store=dataclasses.replace(before.store, leader=""),
    )
    monkeypatch.setattr(reconcile, "gather", gathered(alone))
    api.there["n2"] = node() | {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    await controller.reconcile(KEY)
    assert api.deleted == []
    said = next(one for one in api.status["conditions"] if one["type"] == "Ready")
    assert said["reason"] == "VolumeLost"
    assert "the volume of hippo-1 is lost (claim hippo-1 is new, and empty)" in said["message"]
