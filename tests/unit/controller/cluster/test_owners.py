"""Whose the claims, Deployments and ConfigMaps are that a PostgresCluster finds under the names of its own."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from controller import network_policies, owned
from controller.cluster import reconcile, render
from controller.cluster.clone import Source
from controller.cluster.clone_source import Sources
from controller.cluster.facts import Instance
from controller.cluster.gather import gather, stranger
from controller.cluster.reconcile import ClusterController
from controller.context import Caches, Context
from controller.seal import Seal
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.api.kinds import DataSource, PostgresClusterSpec
from pgwarden.kube import errors, paths
from pgwarden.kube.access import Access
from pgwarden.kube.client import APPLY, KubeClient
from pgwarden.kube.events import Recorder
from tests.unit.controller.cluster.conftest import NOW
from tests.unit.controller.replicas import by, replica_set

Object = dict[str, Any]
CLUSTER = {
    "kind": "PostgresCluster", "apiVersion": names.API_VERSION,
    "metadata": {
        "name": "data-hippo", "namespace": "ns", "uid": "c", "generation": 1, "resourceVersion": "1",
        "finalizers": [names.FINALIZER_LAST_WAL],
    },
    "spec": {"instances": {"replicas": 1, "storage": {"size": "1Gi"}}, "repository": {"storageType": "local"}},
}  # fmt: skip
OURS = {names.MANAGED_BY: "pgwarden", names.LABEL_CLUSTER: "data-hippo", names.LABEL_INSTANCE: "data-hippo-1"}
OWNER = {"kind": "PostgresCluster", "name": "data-hippo", "uid": "c", "controller": True}
EARLIER = OWNER | {"uid": "b"}
SET = {"kind": "StatefulSet", "name": "hippo", "uid": "s"}


def obj(kind: str, name: str = "data-hippo-1", labels: Object | None = None, *owners: Object) -> Object:
    metadata = {"name": name, "namespace": "ns", "uid": f"u-{name}", "labels": labels or {}}
    if owners:
        metadata["ownerReferences"] = list(owners)
    return {"kind": kind, "metadata": metadata, "spec": {"template": {}}}


def claim(labels: Object | None = None, *owners: Object) -> Object:
    return obj("PersistentVolumeClaim", "data-hippo-1", labels, *owners)


class Answers(KubeClient):
    """Objects by their path, and what was written."""

    def __init__(self) -> None:
        super().__init__(Access("http://fake", None))
        self.there: dict[str, Object] = {}
        self.sent: list[tuple[str, str, Any]] = []

    async def request(self, method: str, path: str, *, body: Any = None, content_type: str = "", **_: Any) -> Any:
        if method == "GET":
            if path not in self.there:
                raise errors.NotFound(404, "NotFound", path)
            return copy.deepcopy(self.there[path])
        self.sent.append((method if content_type != APPLY else "APPLY", path.rpartition("/namespaces/ns/")[2], body))
        return body or {}

    def of(self, method: str, *plurals: str) -> list[tuple[str, Any]]:
        return [(path, body) for how, path, body in self.sent if how == method and path.split("/")[0] in plurals]

    def events(self, reason: str) -> list[str]:
        return [body["message"] for _, body in self.of("POST", "events") if body["reason"] == reason]


@pytest.fixture(autouse=True)
def empty(monkeypatch) -> None:
    """The cluster's own Repository can be read, and holds nothing."""

    async def read(*_: Any, **__: Any) -> Source:
        return Source({"metadata": {"name": "data-hippo"}, "spec": {"storageType": "local"}})

    monkeypatch.setattr(Sources, "read_own", read)


@pytest.fixture
def client() -> Answers:
    return Answers()


SETTINGS = Settings.from_environment({"PGWARDEN_IMAGE": "pgwarden:test", "PGWARDEN_NETWORK_POLICIES": "true"})


@pytest.fixture
def context(client: Answers) -> Context:
    agents: Any = None
    found = Context(
        client,
        Caches(client),
        agents,
        Recorder(client, "c"),
        SETTINGS,
        clock=lambda: NOW,
    )
    found.caches.clusters._put(copy.deepcopy(CLUSTER))
    return found


WHOSE = {
    "a StatefulSet's, by its owner": (claim({}, SET), "does not belong to this cluster, but to StatefulSet hippo"),
    "a StatefulSet's that keeps its claims": (claim({"app": "hippo"}), "does not belong to this cluster"),
    "with half of our labels": (claim({names.LABEL_CLUSTER: "data-hippo"}), "does not belong to this cluster"),
    "with our labels and another owner": (claim(OURS, SET), "does not belong to this cluster"),
    "of another instance": (claim(OURS | {names.LABEL_INSTANCE: "data-hippo-2"}), "does not belong to this cluster"),
    "ours": (claim({}, OWNER), ""),
    "ours, whose cluster was deleted without it": (claim(OURS), ""),
    "a Deployment without an owner": (obj("Deployment", "data-hippo-1", OURS), "does not belong to this cluster"),
    "our Deployment": (obj("Deployment", "data-hippo-1", OURS, OWNER), ""),
}


@pytest.mark.parametrize(("found", "words"), WHOSE.values(), ids=WHOSE)
def test_whose_it_is(found, words):
    said = stranger(found, CLUSTER)
    assert bool(said) == bool(words)
    assert words in said
    if words:
        assert said.startswith(f"there is a {found['kind']} data-hippo-1 that does not belong to this cluster")


@pytest.mark.parametrize("case", [name for name, (_, words) in WHOSE.items() if words])
async def test_what_is_not_ours_is_neither_used_nor_changed_and_the_status_says_whose_it_is(context, client, case):
    found, words = WHOSE[case]
    plural = "deployments" if found["kind"] == "Deployment" else "persistentvolumeclaims"
    client.there[paths.of(plural, "ns", "data-hippo-1")] = found
    controller = ClusterController(context)
    for _ in range(3):
        assert await controller.reconcile(("ns", "data-hippo")) is not None
    for method in ("POST", "PATCH", "APPLY", "DELETE"):
        assert client.of(method, "deployments", "persistentvolumeclaims") == []
    status = client.of("PATCH", "postgresclusters")[-1][1]["status"]
    assert words in status["message"]
    assert "Give the cluster another name" in status["message"]
    assert len(client.events("NotOurs")) == 1


BESIDE = (
    "serviceaccounts", "roles", "rolebindings", "services", "poddisruptionbudgets", "configmaps", "secrets",
    "repositories", "networkpolicies",
)  # fmt: skip


@pytest.mark.parametrize("plural", BESIDE)
@pytest.mark.parametrize("owner", [(), (SET,)], ids=["nobody's", "a StatefulSet's"])
async def test_what_stands_beside_the_instances_is_applied_over_the_clusters_own_alone(context, client, plural, owner):
    """An account with rights in the cloud would be run by the cluster's image; what is taken over goes with it, too."""
    made = {one["metadata"]["name"]: one for _, one in standing() if _ == plural}[named(plural)]
    client.there[paths.of(plural, "ns", named(plural))] = obj(made["kind"], named(plural), {"app": "mine"}, *owner)
    controller = ClusterController(context)
    for _ in range(3):
        assert await controller.reconcile(("ns", "data-hippo")) is not None
    own = f"{plural}/{named(plural)}"
    assert [path for how in ("APPLY", "PATCH", "DELETE") for path, _ in client.of(how, plural) if path == own] == []
    assert client.of("APPLY", "deployments") == []
    status = client.of("PATCH", "postgresclusters")[-1][1]["status"]
    ready = next(one for one in status["conditions"] if one["type"] == "Ready")
    assert ready["reason"] == "Fault"
    assert f"there is a {made['kind']} {named(plural)} that does not belong to this cluster" in ready["message"]
    assert len(client.events("NotOurs")) == 1
    client.there[paths.of(plural, "ns", named(plural))] = obj(made["kind"], named(plural), {}, OWNER)
    client.there[paths.of(plural, "ns", named(plural))]["metadata"]["resourceVersion"] = "1"
    await controller.reconcile(("ns", "data-hippo"))
    assert client.of("APPLY", "deployments")  # it goes on as soon as the name is free


async def test_a_secret_that_was_put_back_from_a_copy_goes_on_in_a_cluster_that_is_there(context, client):
    context.caches.clusters.items["ns", "data-hippo"]["status"] = {"initialized": True}
    client.there[paths.of("secrets", "ns", "data-hippo-credentials")] = obj("Secret", "data-hippo-credentials")
    facts = await ClusterController(context)._credentials(
        await gather(context, context.caches.clusters.get("ns", "data-hippo"))
    )
    assert facts.credentials is not None
    assert not facts.fault


async def test_a_strangers_secret_is_not_filled_with_what_a_clones_source_is_read_by(context, client):
    secret = names.clone_secret("data-hippo")
    source = {
        "kind": "Repository",
        "metadata": {"name": "src", "namespace": "ns", "uid": "s"},
        "spec": {"storageType": "local"},
    }
    client.there[paths.of("repositories", "ns", "src")] = source
    authority = paths.of("secrets", "ns", names.ca_secret("src"))
    client.there[authority] = obj("Secret", names.ca_secret("src"))
    said = await Sources(context).give(CLUSTER, DataSource(repository="src"))
    assert said == f"Secret {names.ca_secret('src')} of namespace ns does not belong to Repository src"
    client.there[authority] = obj("Secret", names.ca_secret("src"), {}, {"uid": "s"})
    client.there[paths.of("secrets", "ns", secret)] = obj("Secret", secret, {"app": "mine"})
    sources = Sources(context)
    said = await sources.give(CLUSTER, DataSource(repository="src"))
    assert f"there is a Secret {secret} that does not belong to this cluster" in said
    await sources.take_back(CLUSTER)
    assert client.of("APPLY", "secrets") == []


def standing():
    spec = msgspec.convert(CLUSTER["spec"], PostgresClusterSpec)
    return [
        *render.account(CLUSTER),
        *(("services", one) for one in render.services(CLUSTER)),
        ("poddisruptionbudgets", render.disruption_budget(CLUSTER)),
        ("networkpolicies", network_policies.of_instances(CLUSTER, SETTINGS)),
        ("repositories", render.repository(CLUSTER, spec)),
        ("configmaps", render.config_map(CLUSTER, spec, paused=False, primary="")),
        ("secrets", render.new_credentials(CLUSTER)),
    ]


def named(plural: str) -> str:
    """The last of those that are made of it."""
    return [one["metadata"]["name"] for which, one in standing() if which == plural][-1]


async def test_an_instance_is_made_and_applied_over_the_very_one_that_was_looked_at(context, client):
    controller = ClusterController(context)
    await controller.reconcile(("ns", "data-hippo"))
    assert [path for path, _ in client.of("POST", "persistentvolumeclaims")] == ["persistentvolumeclaims"]
    ((_, made),) = client.of("APPLY", "deployments")
    assert "uid" not in made["metadata"]
    client.there[paths.of("deployments", "ns", "data-hippo-1")] = obj("Deployment", "data-hippo-1", OURS, OWNER)
    client.sent.clear()
    await controller.reconcile(("ns", "data-hippo"))
    assert client.of("APPLY", "deployments")[0][1]["metadata"]["uid"] == "u-data-hippo-1"


QUOTA = "is forbidden: exceeded quota: small"


@pytest.mark.parametrize("plural", ["deployments", "persistentvolumeclaims", "services"])
async def test_an_object_that_kubernetes_does_not_take_is_told_and_waited_for(context, client, plural, monkeypatch):
    """A quota on volumes, a policy: the world's fault, so nothing is given up."""
    real = type(client).request

    async def refusing(self, method, path, **more):
        if method in {"POST", "PATCH"} and f"/{plural}" in path:
            raise errors.Invalid(403, "Forbidden", f"{plural} {QUOTA}")
        return await real(self, method, path, **more)

    monkeypatch.setattr(type(client), "request", refusing)
    controller = ClusterController(context)
    assert await controller.reconcile(("ns", "data-hippo")) == reconcile.STEADY
    status = client.of("PATCH", "postgresclusters")[-1][1]["status"]
    complete = next(one for one in status["conditions"] if one["type"] == "Complete")
    assert complete["reason"] == "KubernetesRefuses"
    assert complete["message"] == f"Kubernetes refuses it, and it is tried again: {plural} {QUOTA}"
    assert status["phase"] == "Creating"
    assert client.events("KubernetesRefuses")


def instance(name: str = "data-hippo-1") -> Instance:
    return Instance(name, 1, obj("Deployment", name, OURS, OWNER))


@pytest.mark.parametrize(
    ("found", "gone"),
    [
        (claim({}, OWNER), True),
        (claim(OURS), True),
        (claim({}, SET), False),
        (claim({}, EARLIER), False),
        (claim(), False),
    ],
    ids=["ours", "adopted", "a StatefulSet's", "an earlier cluster's", "nobody's"],
)
async def test_an_instance_goes_with_its_claim_where_that_is_its_own(context, client, found, gone):
    client.there[paths.of("persistentvolumeclaims", "ns", "data-hippo-1")] = found
    facts = await gather(context, CLUSTER)
    await ClusterController(context)._remove(facts, instance())
    deleted = {
        path: body["preconditions"]["uid"]
        for path, body in client.of("DELETE", "deployments", "persistentvolumeclaims")
    }
    expected = {"deployments/data-hippo-1": "u-data-hippo-1"}
    assert deleted == expected | ({"persistentvolumeclaims/data-hippo-1": "u-data-hippo-1"} if gone else {})


@pytest.mark.parametrize(
    ("name", "owners"),
    [("any-claim-42", (OWNER,)), ("data-hippo-1", ()), ("data-hippo-1", (SET,)), ("data-hippo-01", (OWNER,)), ("data-hippo-0", (OWNER,)),
     ("data-hippo-1", (EARLIER,)), ("data-hippo-" + "9" * 40, (OWNER,))],
    ids=["another name", "no owner", "another owner", "a nought before it", "no number of ours", "an earlier cluster's", "no number"],
)  # fmt: skip
async def test_a_deployment_that_only_carries_the_label_is_no_instance(context, name, owners):
    context.caches.instances._put(obj("Deployment", name, OURS, *owners))
    assert (await gather(context, CLUSTER)).instances == ()


async def test_an_instance_is_known_by_its_owner(context):
    context.caches.instances._put(obj("Deployment", "data-hippo-1", OURS, OWNER))
    assert [one.name for one in (await gather(context, CLUSTER)).instances] == ["data-hippo-1"]


def pod(name: str, *owners: Object) -> Object:
    labels = OURS | {names.LABEL_REPOSITORY: "data-hippo"}
    about = {"name": name, "namespace": "ns", "labels": labels, "ownerReferences": list(owners)}
    about |= {"resourceVersion": "1", "creationTimestamp": f"2026-11-2{len(name)}T12:00:00Z"}
    return {"metadata": about, "spec": {}, "status": {"phase": "Running", "podIP": "10.0.0.1"}}


@pytest.mark.parametrize("real", [True, False], ids=["beside its own", "alone"])
async def test_a_pod_that_only_carries_the_labels_of_an_instance_is_none(context, client, real):
    """The newest of an instance's pods counts, and what it says of itself."""
    made = obj("Deployment", "data-hippo-1", OURS, OWNER)
    context.caches.instances._put(made)
    client.there[paths.of("replicasets", "ns", "data-hippo-1-5d")] = replica_set(made)
    forged = [one | {"uid": "forged"} for one in by("data-hippo-1")]
    for one in (pod("stranger"), pod("forged-x", *forged), *([pod("real", *by("data-hippo-1"))] if real else [])):
        context.caches.postgres_pods._put(one)
    facts = await gather(context, CLUSTER)
    assert [one.pod_name for one in facts.instances] == ["real" if real else ""]
    assert "stranger" not in facts.pods  # nothing waits for its end, either


async def test_a_config_map_that_only_carries_the_label_stays(context, client):
    for name in ("data-hippo-leader", "settings"):
        context.caches.patroni._put(obj("ConfigMap", name, {names.LABEL_CLUSTER: "data-hippo"}))
    await ClusterController(context).reconcile(("ns", "data-hippo"))
    assert [path for path, _ in client.of("DELETE", "configmaps")] == ["configmaps/data-hippo-leader"]


@pytest.mark.parametrize("ours", [True, False], ids=["sealed", "forged"])
async def test_a_forged_mark_of_a_restore_holds_no_cluster_up(context, ours):
    context.seal = Seal(b"k" * 32)
    marked = obj("Deployment", "data-hippo-1", OURS, OWNER)
    text = "{}"
    seal = context.seal.of("ns", "Deployment", "data-hippo-1", "u-data-hippo-1", text) if ours else "no"
    marked["metadata"]["annotations"] = {names.ANNOTATION_STOPPED_BY: text, names.ANNOTATION_STOPPED_BY_SEAL: seal}
    context.caches.instances._put(marked)
    assert (await gather(context, CLUSTER)).restoring is ours


def test_an_owner_is_a_uid():
    assert owned.is_owned(claim({}, OWNER), "c")
    assert not owned.is_owned(claim({}, EARLIER), "c")
    assert not owned.is_owned(claim({}, OWNER), "")
