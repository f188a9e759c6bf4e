"""A node is lost for good, and with it the primary, the repository host and the volume of the local storage; and the
only instance of another cluster: what goes on by itself, what is said, and what one word brings back.
"""

from __future__ import annotations

from datetime import datetime

import pytest

from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, condition, is_true, phase
from harness.nodes import host, of_instance
from harness.objects import backup, schedule
from harness.postgres import SWITCH
from harness.s3 import Store, repository
from harness.s3_steps import figure, says
from harness.waiting import until
from localcluster.pytest_plugin import NodeHandle

BUCKET, CLAIM = "node-loss-local", "hippo-pgbackrest-repo"
QUIET = {"archive_timeout": "20s"}
ROWS = "CREATE TABLE kept AS SELECT i, md5(i::text) AS said FROM generate_series(1, 5000) AS i"
FINGERPRINT = "SELECT count(*), md5(string_agg(i || said, ',' ORDER BY i)) FROM kept"
ARCHIVED = "SELECT last_archived_wal FROM pg_stat_archiver"
RECOVER = '{"spec":{"repository":{"onExistingBackups":"Recover"}}}'

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def clusters(installed, node: NodeHandle, space: Kubectl) -> tuple[Cluster, Cluster]:
    """`hippo` with a replica on the other node, `solo` without; both with rows and a full backup in S3."""
    store = Store(installed.cluster._own())
    store.make_bucket(BUCKET)
    both = repository("local,s3", BUCKET, local={"size": "1Gi"}, s3={"path": f"/{space.namespace}/hippo"})["spec"]
    alone = repository("s3", BUCKET, s3={"path": f"/{space.namespace}/solo"})["spec"]
    hippo, solo = Cluster(space), Cluster(space, "solo")
    space.run("cordon", node.first)
    try:
        space.apply(*store.secrets(), manifest(parameters=QUIET, repository=both))
        space.apply(manifest("solo", 1, parameters=QUIET, repository=alone))
        until(lambda: hippo.primary() == "hippo-1" and host(space), "the primary and the host are there", 300)
        until(lambda: solo.primary() == "solo-1", "the lone primary is there", 240)
    finally:
        space.run("uncordon", node.first)
    for one in (hippo, solo):
        one.wait_ready(300)
        one.sql(ROWS)
    space.apply(backup("to-s3", type="full", storage="s3"), schedule("often", "* * * * *", storage="s3", type="incr"))
    space.until("pgb", "to-s3", phase("Completed"), "is complete", 180)
    for one in (hippo, solo):  # what was committed is in the archive: the last copy of a lone instance is lost
        last = one.sql(SWITCH)

        until(lambda one=one, last=last: one.sql(ARCHIVED) >= last, "it is archived", 120)
    assert [of_instance(space, name) for name in ("hippo-1", "solo-1", "hippo-2")] == [node.name] * 2 + [node.first]
    found = host(space)
    assert found is not None
    assert found["spec"]["nodeName"] == node.name
    return hippo, solo


def backups(space: Kubectl) -> dict[str, dict]:
    return {one["metadata"]["name"]: one for one in space.list("pgb") if phase("Completed")(one)}


def test_the_replica_takes_over_and_the_status_names_the_node_and_what_was_on_it(
    clusters: tuple[Cluster, Cluster], node: NodeHandle, space: Kubectl
):
    hippo, _ = clusters
    rows = hippo.sql(FINGERPRINT)
    node.kill()
    until(lambda: hippo.primary() == "hippo-2", "hippo-2 is the primary", 240)
    assert hippo.sql(FINGERPRINT) == rows
    told = space.until("pgrepo", "hippo", says("Reachable", "False", "storage s3 responds"), "reads s3", 240)
    said = condition(told, "Reachable")
    assert said["reason"] == "NodeNotReady"
    assert f"node {node.name}, which volume" in said["message"]
    assert f"kubectl delete pvc {CLAIM}" in said["message"]
    lone = space.until("pgc", "solo", says("Ready", "False", node.name), "names the node", 120)
    assert f"`kubectl delete node {node.name}`" in condition(lone, "Ready")["message"]


def test_schedules_to_s3_go_on_and_no_backup_waits_for_the_dead_node(clusters: tuple[Cluster, Cluster], space: Kubectl):
    before = {one["metadata"]["name"] for one in space.list("pgb")}
    done = until(
        lambda: next((one for name, one in backups(space).items() if name not in before), None),
        "a scheduled backup is complete",
        240,
        lambda: str(space.list("pgb"))[-3000:],
    )
    began, ended = (datetime.fromisoformat(done["status"][one]) for one in ("startTime", "completionTime"))
    figure(f"{(ended - began).total_seconds():.0f} s for {done['metadata']['name']}")
    assert (ended - began).total_seconds() < 55, "a dead peer takes a minute"
    conf = space.get("configmap", "hippo-pgbackrest")["data"]["host.conf"]
    assert "pg1-host=" in conf
    assert "pg2-host=" not in conf, "of the pod on the dead node"


def test_the_lone_instance_says_that_it_is_lost_and_comes_back_by_one_word(
    clusters: tuple[Cluster, Cluster], node: NodeHandle, space: Kubectl
):
    _, solo = clusters
    space.run("delete", "node", node.name)
    told = space.until("pgc", "solo", lambda one: condition(one, "Ready")["reason"] == "VolumeLost", "is lost", 180)
    message = condition(told, "Ready")["message"]
    assert f"the volume of solo-1 is lost with node {node.name}" in message
    assert "kubectl pgwarden restore solo" in message
    assert space.run("get", "events", "--field-selector=reason=VolumeLost", "-o", "name").stdout
    space.run("patch", "pgc", "solo", "--type=merge", "-p", RECOVER)
    restored = until(lambda: next(iter(space.list("pgr")), None), "a Restore is made", 60)["metadata"]["name"]
    done = space.until("pgr", restored, phase("Completed", "Failed"), "ends", 600)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    status = solo.wait_ready(240)
    assert (status["primary"], status["autofail"]) == ("solo-1", "on")
    assert solo.sql(FINGERPRINT).startswith("5000|")
    solo.sql("INSERT INTO kept VALUES (0, 'written afterwards')")


def test_the_lost_instance_is_made_anew_from_s3(clusters: tuple[Cluster, Cluster], node: NodeHandle, space: Kubectl):
    hippo, _ = clusters
    until(
        lambda: hippo.status().get("readyInstances") == 2, "both instances are ready", 400, lambda: str(hippo.status())
    )
    assert of_instance(space, "hippo-1") == node.first
    log = space.run("logs", "deployment/hippo-1", "-c", "postgres").stdout
    if "replica has been created using pgbackrest" not in log:
        pytest.fail("\n".join(line[:300] for line in log.splitlines() if "reject" not in line and "FATAL" not in line))
    until(lambda: hippo.sql(FINGERPRINT, "hippo-1") == hippo.sql(FINGERPRINT, "hippo-2"), "has the rows", 60)


def test_the_local_storage_comes_back_empty_by_deleting_its_claim_and_is_filled(
    clusters: tuple[Cluster, Cluster], node: NodeHandle, space: Kubectl
):
    hippo, _ = clusters
    assert condition(space.get("pgrepo", "hippo"), "Reachable")["reason"] == "NodeLost"
    space.run("delete", "pvc", CLAIM, "--timeout=60s")
    space.until("pgrepo", "hippo", is_true("Reachable"), "reads both again", 240)
    told = space.until("pgrepo", "hippo", lambda one: not one["status"].get("fullBackupOwed"), "owes nothing", 300)
    assert {one["name"]: bool(one.get("backupCount")) for one in told["status"]["storages"]} == {
        "local": True,
        "s3": True,
    }
    hippo.wait_ready(240)
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives into both", 180)


def test_a_claim_deleted_under_the_last_instance_is_made_again_and_filled(
    clusters: tuple[Cluster, Cluster], space: Kubectl
):
    """As people do to have a replica made anew: here there is nobody to make it from but the Repository."""
    _, solo = clusters
    solo.wait_ready(60)
    before, rows = {one["metadata"]["name"] for one in space.list("pgr")}, solo.sql(FINGERPRINT)
    last = solo.sql(SWITCH)
    until(lambda: solo.sql(ARCHIVED) >= last, "it is archived", 120)
    space.run("delete", "pvc", "solo-1", "--wait=false")
    space.run("delete", "pod", solo.pod("solo-1"), "--wait=false")
    made = until(
        lambda: next((one for one in space.list("pgr") if one["metadata"]["name"] not in before), None),
        "another Restore is made",
        240,
        lambda: str(solo.status()),
    )
    done = space.until("pgr", made["metadata"]["name"], phase("Completed", "Failed"), "ends", 600)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    solo.wait_ready(240)
    assert solo.sql(FINGERPRINT) == rows
