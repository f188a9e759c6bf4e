"""What works for a Repository whose host was kept at an earlier image speaks the same pgBackRest: it runs that image."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from controller.cluster.reconcile import ClusterController
from controller.context import Caches
from pgwarden.api import names
from tests.unit.controller.backup.test_returns import World
from tests.unit.controller.cluster import test_filler
from tests.unit.controller.cluster.test_filler import KEY, PODS, sources
from tests.unit.controller.cluster.test_owners import CLUSTER, client, context
from tests.unit.controller.restore.conftest import cluster, run
from tests.unit.controller.restore.fake_cluster import Cluster

__all__ = ["client", "cluster", "context", "run", "sources"]
Object = dict[str, Any]
KEPT = "pgwarden:before"


POD = {"containers": [{"name": names.CONTAINER_HOST, "image": KEPT}]}


def kept(fake: Cluster) -> None:
    """As `keep`, of the host that runs."""
    fake.objects["deployments", "ns", names.host("hippo")]["spec"]["template"] = {"spec": POD}


def keep(caches: Caches, repository: str, uid: str, namespace: str = "ns") -> None:
    """The host's Deployment has the image of the release before."""
    owner = {"kind": "Repository", "name": repository, "uid": uid}
    metadata = {"name": names.host(repository), "namespace": namespace, "uid": "d", "ownerReferences": [owner]}
    caches.deployments.items[namespace, names.host(repository)] = {
        "metadata": metadata | {"resourceVersion": "1"},
        "spec": {"template": {"spec": POD}},
    }


def images(job: Object) -> dict[str, str]:
    """By container."""
    pod = job["spec"]["template"]["spec"]
    return {one["name"]: one["image"] for one in [*pod.get("initContainers", []), *pod["containers"]]}


async def test_a_backups_job_does():
    world = World()
    kept(world)
    world.make()
    await world.settled()
    assert [images(job) for job in world.of("jobs")] == [{"pgbackrest": KEPT}]


async def test_a_restores_job_does_but_for_its_server(run, cluster):
    kept(cluster)
    run.restart()
    cluster.job_end = ""
    run.create()
    await run.until_over(rounds=30)
    (job,) = cluster.of("jobs")
    assert images(job) == {"own": KEPT, "pgwarden-tools": KEPT, "pgbackrest": KEPT, "postgres": "postgres:18"}


@pytest.mark.parametrize(("namespace", "image"), [("", KEPT), ("ns", KEPT), ("theirs", "pgwarden:test")])
async def test_a_clones_job_does_if_its_source_is_in_its_own_namespace(
    context,
    client,
    namespace: str,
    image: str,
):
    wanted = copy.deepcopy(CLUSTER)
    wanted["spec"]["dataSource"] = {"repository": "rhino"} | ({"namespace": namespace} if namespace else {})
    context.caches.clusters.items[KEY] = wanted
    client.there[PODS] = {"items": []}
    for where in ("ns", "theirs"):
        source = {"metadata": {"name": "rhino", "namespace": where, "uid": "r", "resourceVersion": "1"}, "spec": {}}
        context.caches.repositories.items[where, "rhino"] = source
        keep(context.caches, "rhino", "r", where)
    await ClusterController(context).reconcile(KEY)
    ((_, job),) = client.of("POST", "jobs")
    assert test_filler.JOB.endswith(job["metadata"]["name"])
    assert images(job)["pgbackrest"] == image
