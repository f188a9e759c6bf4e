"""A node is lost for good, and the volumes on it: the primary's, and the only one of a StatefulSet; the host was there too."""

from __future__ import annotations

import pytest

from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, condition, is_true, phase
from harness.nodes import host, of_instance
from harness.objects import backup, restore, schedule
from harness.postgres import SWITCH, Postgres, statefulset
from harness.s3 import Store, repository
from harness.s3_steps import figure
from harness.waiting import until
from localcluster.pytest_plugin import NodeHandle

BUCKET = "node-loss"
QUIET = {"archive_timeout": "20s"}


@pytest.fixture(scope="module")
def store(installed) -> Store:
    found = Store(installed.cluster._own())
    found.make_bucket(BUCKET)
    return found


@pytest.fixture(scope="module")
def lone(installed, store: Store, node: NodeHandle, space: Kubectl) -> Postgres:
    """A StatefulSet of one pod on the node that will be lost, with a backup, and what was committed after it archived."""
    space.run("cordon", node.first)
    try:
        space.apply(*store.secrets(), repository("s3", BUCKET, name="lone", s3={"path": f"/{space.namespace}/lone"}))
        space.apply(*statefulset(installed.postgres_image, name="lone", repository="lone", storage="1Gi"))
        found = Postgres(space, "lone-0")
        found.wait_ready()
    finally:
        space.run("uncordon", node.first)
    space.until("pgrepo", "lone", is_true("Archiving"), "archives", 120)
    space.apply(backup("lone-full", repository="lone"))
    space.until("pgb", "lone-full", phase("Completed"), "is complete", 180)
    found.sql("CREATE TABLE kept AS SELECT i FROM generate_series(1, 1000) AS i")
    last = found.sql(SWITCH)
    until(lambda: found.sql("SELECT last_archived_wal FROM pg_stat_archiver") >= last, "it is archived", 60)
    return found


@pytest.fixture(scope="module")
def hippo(installed, store: Store, lone: Postgres, node: NodeHandle, space: Kubectl) -> Cluster:
    """The primary and the repository host on the node that will be lost, the replica on the other; backed up each minute."""
    spec = repository("s3", BUCKET, s3={"path": f"/{space.namespace}/hippo"})["spec"]
    space.run("cordon", node.first)
    try:
        space.apply(manifest(synchronous=True, parameters=QUIET, repository=spec))
        found = Cluster(space)
        until(lambda: found.primary() == "hippo-1" and host(space), "the primary and the host are there", 240)
    finally:
        space.run("uncordon", node.first)
    found.wait_ready(240)
    space.apply(schedule("often", "* * * * *"))
    assert {name: of_instance(space, name) for name in ("hippo-1", "hippo-2")} == {
        "hippo-1": node.name,
        "hippo-2": node.first,
    }
    assert host(space)["spec"]["nodeName"] == node.name
    return found


def backups(space: Kubectl) -> set[str]:
    return {one["metadata"]["name"] for one in space.list("pgb") if phase("Completed")(one)}


@pytest.mark.timeout(900)  # the second node is made, and a cluster with its first backup
def test_the_primary_lost_with_its_node_is_followed_by_the_replica_with_every_acknowledged_row(
    hippo: Cluster, node: NodeHandle, space: Kubectl
):
    hippo.start_writing(node=node.first)
    space.run("cordon", node.name)
    space.apply(backup("cut", type="full"))
    space.until("pgb", "cut", lambda one: one["status"].get("reason") == "JobRuns", "runs", 60)
    node.kill()
    until(lambda: hippo.primary() == "hippo-2", "hippo-2 is the primary", 180)
    hippo.wait_written(50)
    acknowledged, outage = hippo.stop_writing()
    figure(f"{outage:.1f} s without a write")
    assert acknowledged <= hippo.rows()


def test_the_status_names_the_node_and_the_way_out_and_nothing_is_deleted_that_may_be_alive(
    hippo: Cluster, node: NodeHandle, space: Kubectl
):
    claim = space.get("pvc", "hippo-1")["metadata"]["uid"]
    found = space.until("pgc", "hippo", lambda one: condition(one, "Complete")["reason"] == "NodeNotReady", "told", 120)
    message = condition(found, "Complete")["message"]
    assert f"hippo-1 is on node {node.name}, which has not been Ready since" in message
    assert f"`kubectl delete node {node.name}`" in message
    assert found["status"]["phase"] == "Degraded"
    events = space.run("get", "events", "--field-selector=reason=NodeNotReady", "-o", "name").stdout
    assert events
    assert space.get("pvc", "hippo-1")["metadata"]["uid"] == claim


def test_backups_and_schedules_go_on_while_the_node_is_only_silent(hippo: Cluster, node: NodeHandle, space: Kubectl):
    """The host has no volume: it is made anew elsewhere, without anybody's word."""
    before = backups(space)
    found = until(lambda: (one := host(space)) and one["spec"]["nodeName"] == node.first and one, "a new host", 240)
    assert found
    until(
        lambda: backups(space) - before, "a scheduled backup is complete", 180, lambda: str(space.list("pgb"))[-3000:]
    )
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 60)
    cut = space.until("pgb", "cut", phase("Completed", "Failed"), "has ended", 10)
    assert cut["status"]["phase"] == "Completed", cut["status"]["message"]


def test_the_lost_instance_is_made_anew_from_the_bucket_once_the_node_is_told_to_be_gone(
    hippo: Cluster, node: NodeHandle, space: Kubectl
):
    claim = space.get("pvc", "hippo-1")["metadata"]["uid"]
    rows = hippo.rows()
    space.run("taint", "node", node.name, "node.kubernetes.io/out-of-service=gone:NoExecute")
    status = hippo.wait_ready(300)
    assert (status["primary"], status["ready"]) == ("hippo-2", "2/2")
    assert of_instance(space, "hippo-1") == node.first
    assert space.get("pvc", "hippo-1")["metadata"]["uid"] != claim
    log = space.run("logs", "deployment/hippo-1", "-c", "postgres").stdout
    assert "replica has been created using pgbackrest" in log
    until(lambda: hippo.rows("hippo-1") == rows, "hippo-1 has the rows", 60)


def test_a_restore_brings_a_stateful_set_back_whose_only_volume_is_lost(
    lone: Postgres, node: NodeHandle, space: Kubectl
):
    space.apply(restore("back", repository="lone"))
    done = space.until("pgr", "back", phase("Completed", "Failed"), "ends", 300)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    lone.wait_ready()
    assert space.get("pod", "lone-0")["spec"]["nodeName"] == node.first
    assert lone.sql("SELECT count(*), sum(i) FROM kept") == "1000|500500"
