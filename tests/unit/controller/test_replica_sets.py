"""A pod is a Deployment's by its ReplicaSet's uid and that one's owner; with labels and a name alone it is anybody's."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest

from controller import replica_sets
from controller.context import Caches, Context
from controller.replica_sets import ReplicaSets
from pgwarden.api import names
from pgwarden.kube import errors, paths
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from tests.unit.controller.replicas import HOST, by, deployment, replica_set

Object = dict[str, Any]
OURS = deployment("u-hippo")
PATH = paths.of("replicasets", "ns", f"{HOST}-5d")
HOST_LABELS = {names.LABEL_OWNER_REPOSITORY: "hippo", names.LABEL_COMPONENT: "host"}


class Answers(KubeClient):
    def __init__(self, *there: Object) -> None:
        super().__init__(Access("http://fake", None))
        self.there = {paths.of("replicasets", "ns", one["metadata"]["name"]): one for one in there}
        self.asked: list[str] = []

    async def request(self, method: str, path: str, **_: Any) -> Any:
        self.asked.append(path)
        if path not in self.there:
            raise errors.NotFound(404, "NotFound", path)
        return copy.deepcopy(self.there[path])


def pod(*owners: Object, name: str = "p", labels: Object | None = None) -> Object:
    about = {"name": name, "namespace": "ns", "uid": f"u-{name}", "resourceVersion": "1"}
    about |= {"labels": labels or HOST_LABELS, "ownerReferences": list(owners)}
    return {"metadata": about, "spec": {}, "status": {"podIP": "10.0.0.1"}}


def named(**changes: Any) -> list[Object]:
    return [one | changes for one in by()]


#: The owners of a pod, and what there is of its ReplicaSet.
STRANGERS = {
    "nobody's": ([], replica_set(OURS)),
    "another ReplicaSet's": (named(name="web-5d"), replica_set(OURS)),
    "one of that name, by another uid": (named(uid="forged"), replica_set(OURS)),
    "an owner that does not control it": (named(controller=False), replica_set(OURS)),
    "a StatefulSet's": (named(kind="StatefulSet"), replica_set(OURS)),
    "a ReplicaSet that is not there": (by(), None),
    "a ReplicaSet of that name that is nobody's": (by(), {"metadata": {"name": f"{HOST}-5d", "uid": f"rs-{HOST}"}}),
    "a ReplicaSet of another Deployment": (by(), replica_set(deployment("u-hippo", uid="another"))),
}


@pytest.mark.parametrize(("owners", "there"), STRANGERS.values(), ids=STRANGERS)
async def test_a_pod_with_the_labels_of_a_host_is_none(owners, there):
    sets = ReplicaSets(Answers(*([there] if there else [])))
    assert await sets.pods_of(OURS, [pod(*owners)]) == []


async def test_a_replica_set_is_read_once():
    client = Answers(replica_set(OURS))
    sets = ReplicaSets(client)
    for _ in range(3):
        assert len(await sets.pods_of(OURS, [pod(*by()), pod(*by(), name="q")])) == 2
    assert client.asked == [PATH]
    assert await sets.pods_of(None, [pod(*by())]) == []


async def test_a_pod_that_names_no_replica_set_of_that_deployment_costs_no_question():
    client = Answers(replica_set(OURS))
    await ReplicaSets(client).pods_of(OURS, [pod(), pod(*named(name="web-5d")), pod(*named(kind="Job"))])
    assert client.asked == []


async def test_one_that_was_a_strangers_is_read_again_after_a_while():
    """A Deployment that was deleted without its dependents, and made anew, takes its ReplicaSet over."""
    now = 0.0
    client = Answers(replica_set(deployment("u-hippo", uid="before")))
    sets = ReplicaSets(client, lambda: now)
    for _ in range(3):
        assert await sets.pods_of(OURS, [pod(*by())]) == []
    assert len(client.asked) == 1
    client.there[PATH] = replica_set(OURS)
    now += replica_sets.AGAIN
    assert len(await sets.pods_of(OURS, [pod(*by())])) == 1


async def test_so_many_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(replica_sets, "MOST", 2)
    client = Answers(replica_set(OURS))
    sets = ReplicaSets(client)
    for number in range(5):
        await sets.pods_of(OURS, [pod(*named(uid=f"forged-{number}"))])
    assert len(sets._known) == 2


def context(client: Answers, **repository: Any) -> Context:
    nothing: Any = SimpleNamespace()
    found = Context(client, Caches(client), nothing, nothing, nothing)
    about = {"name": "hippo", "namespace": "ns", "uid": "u-hippo", "resourceVersion": "1"} | repository
    found.caches.repositories._put({"kind": "Repository", "metadata": about, "spec": {}})
    return found


@pytest.mark.parametrize(
    ("uid", "found"), [("u-hippo", ["a", "spare"]), ("made-anew", [])], ids=["its own", "another's"]
)
async def test_of_the_pods_that_are_labelled_as_hosts_those_of_its_own_deployments_answer(uid, found):
    spare = deployment("u-hippo", names.spare_host("hippo"), "u-spare")
    there = context(Answers(replica_set(OURS), replica_set(spare)), uid=uid)
    for one in (OURS, spare):
        there.caches.deployments._put(copy.deepcopy(one))
    is_spare = HOST_LABELS | {names.LABEL_COMPONENT: "spare"}
    pods = [
        pod(name="0-stranger"), pod(*by(), name="a"), pod(*by(names.spare_host("hippo")), name="spare", labels=is_spare),
        pod(*by(), name="labelled-as-spare", labels=is_spare), pod(*named(uid="forged"), name="b"),
    ]  # fmt: skip
    for one in pods:
        there.caches.own_pods._put(one)
    told = [one["metadata"]["name"] for one in await there.hosts("ns", "hippo")]
    assert told == found
    assert [one["metadata"]["name"] for one in await there.hosts("ns", "hippo", [])] == []
