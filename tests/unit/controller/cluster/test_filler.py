"""What is written to the API server while the first instance's volume is filled, from the first look to the last."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from controller import admission
from controller.cluster.clone import Source
from controller.cluster.clone_source import Sources
from controller.cluster.reconcile import ClusterController
from pgwarden.api import names
from pgwarden.kube import paths

from .test_filling import source
from .test_owners import CLUSTER, OWNER, Answers, Object, client, context, obj

__all__ = ["client", "context"]
KEY = ("ns", "data-hippo")
CLAIM, JOB = paths.of("persistentvolumeclaims", "ns", "data-hippo-1"), paths.of("jobs", "ns", "data-hippo-recovery")
PODS = paths.of("pods", "ns")
BEGUN = [{"type": "DataSource", "status": "False", "reason": "Cloning", "message": ""}]


@pytest.fixture(autouse=True)
def sources(monkeypatch) -> list[str]:
    """The own Repository is empty, the source's can be read. What was done with the source's Secret."""
    done: list[str] = []

    async def own(*_: Any, **__: Any) -> Source:
        return Source({"metadata": {"name": "data-hippo"}, "spec": {"storageType": "local"}})

    async def read(*_: Any, **__: Any) -> Source:
        return source()

    async def give(*_: Any) -> str:
        done.append("given")
        return ""

    async def take_back(*_: Any) -> None:
        done.append("taken back")

    async def judge(*_: Any) -> admission.Answer:
        return admission.GO  # by the rules, which are tested elsewhere

    monkeypatch.setattr(admission, "judge", judge)
    for name, function in {"read_own": own, "read": read, "give": give, "take_back": take_back}.items():
        monkeypatch.setattr(Sources, name, function)
    return done


@pytest.fixture
def controller(context, client: Answers) -> ClusterController:
    cluster = copy.deepcopy(CLUSTER)
    cluster["spec"]["dataSource"] = {"repository": "rhino"}
    context.caches.clusters.items[KEY] = cluster
    client.there[PODS] = {"items": []}
    return ClusterController(context)


def job(*, uid: str = "c", ended: str = "") -> Object:
    made = obj("Job", "data-hippo-recovery", {}, OWNER | {"uid": uid})
    return made | {"status": {"conditions": [{"type": ended, "status": "True"}] if ended else []}}


def told(client: Answers) -> Object:
    status: Object = client.of("PATCH", "postgresclusters")[-1][1]["status"]
    return status


async def test_the_volume_is_filled_before_there_is_an_instance(controller, client: Answers, sources: list[str]):
    await controller.reconcile(KEY)
    assert sources == ["given"]
    assert [path for path, _ in client.of("POST", "persistentvolumeclaims", "jobs")] == [
        "persistentvolumeclaims",
        "jobs",
    ]
    assert client.of("APPLY", "deployments") == []
    assert told(client)["conditions"][-1]["reason"] == "Cloning"


async def test_a_job_of_an_earlier_cluster_of_the_name_is_waited_for(controller, client: Answers):
    client.there[JOB] = job(uid="b")
    await controller.reconcile(KEY)
    assert client.of("POST", "persistentvolumeclaims", "jobs") == []
    assert "waiting for Job data-hippo-recovery of an earlier cluster" in told(client)["message"]


async def test_that_it_is_filled_is_noted_on_that_very_claim_before_the_instance_is_made(controller, client: Answers):
    client.there[CLAIM], client.there[JOB] = (
        obj("PersistentVolumeClaim", "data-hippo-1", {}, OWNER),
        job(ended="Complete"),
    )
    await controller.reconcile(KEY)
    note = {"uid": "u-data-hippo-1", "annotations": {names.ANNOTATION_FILLED: "PostgreSQL recovered"}}
    assert client.of("PATCH", "persistentvolumeclaims") == [
        ("persistentvolumeclaims/data-hippo-1", {"metadata": note}),
    ]
    written = [path.split("/")[0] for how, path, _ in client.sent if how in {"PATCH", "APPLY"}]
    assert written.index("persistentvolumeclaims") < written.index("deployments")


async def test_a_job_whose_pods_were_killed_is_made_again(controller, client: Answers):
    client.there[CLAIM], client.there[JOB] = (
        obj("PersistentVolumeClaim", "data-hippo-1", {}, OWNER),
        job(ended="Failed"),
    )
    await controller.reconcile(KEY)
    assert [path for path, _ in client.of("DELETE", "jobs", "persistentvolumeclaims")] == ["jobs/data-hippo-recovery"]
    del client.there[JOB]
    await controller.reconcile(KEY)
    assert [path for path, _ in client.of("POST", "persistentvolumeclaims", "jobs")] == ["jobs"]


async def test_of_one_that_has_failed_the_job_goes_before_the_claim(
    controller, context, client: Answers, sources: list[str]
):
    client.there[CLAIM], client.there[JOB] = obj("PersistentVolumeClaim", "data-hippo-1", {}, OWNER), job()
    failed = [BEGUN[0] | {"reason": "CloneFailed", "message": "it broke", "observedGeneration": 1}]
    context.caches.clusters.items[KEY]["status"] = {"conditions": failed}
    await controller.reconcile(KEY)
    assert sources == ["taken back"]
    assert [path for path, _ in client.of("DELETE", "jobs", "persistentvolumeclaims")] == [
        "jobs/data-hippo-recovery", "persistentvolumeclaims/data-hippo-1",
    ]  # fmt: skip


async def test_a_clone_under_way_ends_when_its_source_no_longer_allows_it(
    controller, context, client: Answers, sources
):
    cluster = context.caches.clusters.items[KEY]
    cluster["spec"]["dataSource"]["namespace"] = "apps"
    there = {"storageType": "local", "cloneableFrom": ["ns"]}
    metadata = {"name": "rhino", "namespace": "apps", "uid": "r"}
    source = {"kind": "Repository", "metadata": metadata, "spec": there}
    context.caches.repositories.items["apps", "rhino"] = source
    client.there[CLAIM], client.there[JOB] = obj("PersistentVolumeClaim", "data-hippo-1", {}, OWNER), job()
    await controller.reconcile(KEY)
    assert (sources, told(client)["conditions"][-1]["reason"]) == (["given"], "Cloning")

    there["cloneableFrom"] = []
    context.caches.repositories.items["apps", "rhino"] = source
    await controller.reconcile(KEY)

    assert sources == ["given"]  # no keys any more
    failed = told(client)
    assert (failed["phase"], failed["conditions"][-1]["reason"]) == ("Failed", "CloneFailed")
    assert "no longer allows clones into namespace ns" in failed["message"]
    events = [body for path, body in ((p, b) for _, p, b in client.sent) if "events" in path]
    assert "CloneEnded" in {one["reason"] for one in events}
    cluster["status"] = failed
    await controller.reconcile(KEY)
    assert sources == ["given", "taken back"]
    assert [path for path, _ in client.of("DELETE", "jobs", "persistentvolumeclaims")] == [
        "jobs/data-hippo-recovery", "persistentvolumeclaims/data-hippo-1",
    ]  # fmt: skip


async def test_of_a_clone_that_is_gone_nothing_is_remembered_so_that_the_next_of_its_name_is_given_a_secret(
    controller, context, monkeypatch
):
    monkeypatch.undo()
    written = controller._filler._sources._written
    written[paths.of("secrets", "ns", names.clone_secret("data-hippo"))] = 1.0
    context.caches.clusters.items.clear()
    await controller.reconcile(KEY)
    assert written == {}
