"""golden/NAME.json: the NetworkPolicies of a Repository and of a PostgresCluster. PGWARDEN_UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controller import network_policies, removal
from controller.cluster import instance
from controller.cluster import render as cluster_render
from controller.repository import render
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.api.kinds import PostgresClusterSpec, RepositorySpec
from pgwarden.api.objects import Object

GOLDEN = Path(__file__).parent / "golden"
SETTINGS = Settings.from_environment(
    {"PGWARDEN_IMAGE": "pgwarden:test", "PGWARDEN_NETWORK_POLICIES": "true", "PGWARDEN_NAMESPACE": "system"}
)
ABOUT = {"name": "hippo", "namespace": "ns", "uid": "u", "generation": 1}
REPOSITORY: Object = {"apiVersion": names.API_VERSION, "kind": "Repository", "metadata": ABOUT, "spec": {}}
CLUSTER: Object = {"apiVersion": names.API_VERSION, "kind": "PostgresCluster", "metadata": ABOUT, "spec": {}}
LOCAL = {"storageType": "local", "local": {"size": "1Gi"}}


def of_repository(settings: Settings = SETTINGS, **spec: Any) -> Object:
    return network_policies.of_repository(REPOSITORY, msgspec.convert(LOCAL | spec, RepositorySpec), settings)


MADE = {
    "repository": of_repository(),
    "repository-cloneable": of_repository(cloneableFrom=["b", "a", "a"]),
    "repository-cloneable-by-all": of_repository(cloneableFrom=["a", "*"]),
    "repository-in-a-mesh": of_repository(dataclasses.replace(SETTINGS, mesh_ports=(15008,))),
    "instances": network_policies.of_instances(CLUSTER, SETTINGS),
    "instances-in-a-mesh": network_policies.of_instances(CLUSTER, dataclasses.replace(SETTINGS, mesh_ports=(4143,))),
}


@pytest.mark.parametrize("name", MADE)
def test_the_policy_is_the_golden_one(name: str):
    path = GOLDEN / f"network-policy-{name}.json"
    text = json.dumps(MADE[name], indent=2) + "\n"
    if os.environ.get("PGWARDEN_UPDATE_GOLDEN") == "1":
        path.write_text(text, "utf-8")
    assert path.read_text("utf-8") == text


def selects(policy: Object, labels: dict[str, str]) -> bool:
    return bool(policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items())


def test_each_selects_its_own_pods_and_no_users():
    spec = msgspec.convert(LOCAL, RepositorySpec)
    host, spare = (
        made["spec"]["template"]["metadata"]["labels"]
        for made in (render.deployment(REPOSITORY, spec, SETTINGS), render.spare(REPOSITORY, spec, SETTINGS))
    )
    wanted = msgspec.convert({"repository": LOCAL}, PostgresClusterSpec)
    one = instance.deployment(CLUSTER, wanted, SETTINGS, 1, "")["spec"]["template"]["metadata"]["labels"]
    users = {names.LABEL_REPOSITORY: "hippo", "app": "mine"}
    own, instances = MADE["repository"], MADE["instances"]
    assert [selects(own, labels) for labels in (host, spare, one, users)] == [True, True, False, False]
    assert [selects(instances, labels) for labels in (host, spare, one, users)] == [False, False, True, False]


def test_its_name_is_no_other_policys_of_the_namespace():
    """A Repository and the PostgresCluster of its name are in one namespace, with one policy each."""
    assert MADE["repository"]["metadata"]["name"] != MADE["instances"]["metadata"]["name"]
    assert MADE["instances"]["metadata"]["ownerReferences"] == cluster_render.metadata(CLUSTER, "")["ownerReferences"]


def test_of_the_chart_is_known_whether_and_for_which_mesh():
    settings = Settings.from_environment({"PGWARDEN_IMAGE": "a", "PGWARDEN_MESH_PORTS": "15008,4143"})
    assert (settings.network_policies, settings.mesh_ports) == (False, (15008, 4143))
    assert (SETTINGS.network_policies, SETTINGS.mesh_ports) == (True, ())


class There:
    """What the cache shows, and what is deleted."""

    def __init__(self, *found: Object) -> None:
        self.found = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in found}
        self.deleted: list[tuple[str, str]] = []
        self.caches = self.client = self
        self.of_repositories = {"networkpolicies": self}

    def get(self, namespace: str, name: str) -> Object | None:
        return self.found.get((namespace, name))

    async def delete(self, path: str, *, uid: str) -> None:
        self.deleted.append((path, uid))


def found(owner: str) -> Object:
    about = MADE["repository"]["metadata"]
    return {"metadata": about | {"uid": "p", "ownerReferences": [{"uid": owner}]}}


@pytest.mark.parametrize(
    ("there", "gone"), [([found("u")], ["p"]), ([found("other")], []), ([], [])], ids=["ours", "a stranger's", "none"]
)
async def test_switched_off_ours_goes_and_a_strangers_stays(there: list[Object], gone: list[str]):
    context: Any = There(*there)
    await removal.remove(context, "networkpolicies", MADE["repository"])
    path = "/apis/networking.k8s.io/v1/namespaces/ns/networkpolicies/hippo-pgbackrest"
    assert context.deleted == [(path, uid) for uid in gone]
