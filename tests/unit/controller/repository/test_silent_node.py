"""A node that does not answer: how long the repository host stays on it, and which pods a backup does not wait for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from controller import node_lookup
from controller.repository import render
from pgwarden.api.kinds import RepositorySpec
from pgwarden.kube import errors
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from tests.unit.controller.restore.fake_cluster import SETTINGS

REPOSITORY = {
    "apiVersion": "pgwarden.io/v1alpha1",
    "kind": "Repository",
    "metadata": {"name": "hippo", "namespace": "ns", "uid": "u", "generation": 1},
}
BUCKET = {"bucket": "b", "endpoint": "e", "region": "r", "credentialsSecretRef": {"name": "k"}}
VOLUME = {"size": "1Gi"}


def tolerations(**spec: Any) -> list[dict[str, Any]]:
    found = render.deployment(REPOSITORY, msgspec.convert(spec, RepositorySpec), SETTINGS)
    return found["spec"]["template"]["spec"].get("tolerations", [])


def test_a_host_without_a_volume_leaves_it_soon():
    made = tolerations(storageType="s3", s3=BUCKET)
    assert {one["key"] for one in made} == {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}
    assert {(one["effect"], one["tolerationSeconds"]) for one in made} == {("NoExecute", render.SILENT_NODE)}


@pytest.mark.parametrize("storage_type", ["local", "local,s3"])
def test_a_host_with_a_volume_stays_as_long_as_kubernetes_has_it(storage_type: str):
    assert tolerations(storageType=storage_type, local=VOLUME, s3=BUCKET) == []


def node(name: str, ready: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


class Nodes(KubeClient):
    def __init__(self, *there: dict[str, Any]) -> None:
        super().__init__(Access("http://fake", None))
        self._there = {one["metadata"]["name"]: one for one in there}

    async def request(self, method: str, path: str, **_: Any) -> Any:
        name = path.rpartition("/")[2]
        if name not in self._there:
            raise errors.NotFound(404, "NotFound", path)
        return self._there[name]


async def test_pods_on_nodes_that_are_silent_or_gone_are_not_waited_for():
    client = Nodes(node("well", "True"), node("silent", "Unknown"))
    placed = {"a": "well", "b": "silent", "c": "gone", "d": ""}
    pods = [{"metadata": {"name": name}, "spec": {"nodeName": at} if at else {}} for name, at in placed.items()]
    assert await node_lookup.on_silent_nodes(client, pods) == {"b", "c"}
