"""What was lost is applied again from its manifests: what a bucket or a volume still holds is refused, or comes back.

The former Kubernetes is a namespace that was deleted; the S3 server outlives it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, Object, condition, is_true, phase
from harness.objects import API_VERSION, backup, schedule
from harness.postgres import Postgres, statefulset
from harness.s3 import Store, repository
from harness.waiting import until
from localcluster.config import S3_HOST

#: How often all is lost and applied again, and the first order; `make rebuild` does it ten times.
ROUNDS = int(os.environ.get("PGWARDEN_REBUILD_ROUNDS", "3"))
FIRST = int(os.environ.get("PGWARDEN_REBUILD_FIRST", "1"))
FINGERPRINT = "SELECT count(*), md5(string_agg(id || name, ',' ORDER BY id)) FROM accounts"
FILL = "CREATE TABLE accounts AS SELECT i AS id, md5(i::text) AS name FROM generate_series(1, 20000) AS i"
RECOVER = {"onExistingBackups": "Recover"}


@pytest.fixture(scope="module")
def store(installed) -> Store:
    return Store(installed.cluster._own())


@pytest.fixture(scope="module")
def bucket(store: Store) -> str:
    return store.make_bucket(f"rebuilt-{uuid.uuid4().hex[:6]}")


@pytest.fixture
def home(installed, store: Store) -> Iterator[Kubectl]:
    """A Kubernetes of its own, as far as a namespace is one."""
    name = f"home-{uuid.uuid4().hex[:5]}"
    yield installed.kubectl.within(name)
    installed.kubectl.run("delete", "namespace", name, "--wait=false", check=False)


def spec_on(bucket: str, **spec: object) -> Object:
    # Each round makes a full backup, and the first one's set stays: its Backup is not done again then.
    made: Object = repository("s3", bucket, retention={"full": ROUNDS + 2}, **spec)["spec"]
    return made


def reason(obj: Object, kind: str) -> str:
    return str((condition(obj, kind) or {}).get("reason", ""))


def archived(postgres: Postgres | Cluster, there: str, store: Store, bucket: str) -> None:
    """All that was committed by now is in the bucket, in the folder of namespace and Repository *there*."""
    last = postgres.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
    postgres.sql("SELECT pg_switch_wal()")
    until(
        lambda: any(f"{there}/" in path and f"/{last}-" in path for path in store.objects(bucket)),
        f"{last} is in the bucket",
        90,
    )


def system(postgres: Postgres | Cluster) -> str:
    return postgres.sql("SELECT system_identifier FROM pg_control_system()")


# --- the folder of manifests -------------------------------------------------------------------------------------


def folder(installed, store: Store, bucket: str, **asked: str) -> list[Object]:
    """What a team keeps in Git: a StatefulSet and a PostgresCluster, each with backups and a schedule."""
    anyones = {"apiVersion": API_VERSION, "kind": "Repository", "metadata": {"name": "rhino"}}
    return [
        *store.secrets(),
        anyones | {"spec": spec_on(bucket, **asked)},
        *statefulset(installed.postgres_image, repository="rhino"),
        # Protected, as a new one is by itself: its namespace goes all the same.
        manifest("hippo", 2, repository=spec_on(bucket, **asked), deletionProtection=True),
        backup("whole", repository="rhino", type="full"),
        schedule("nightly", "0 3 * * *", repository="rhino", type="incr"),
        schedule("weekly", "0 4 * * 0", repository="hippo", type="full"),
    ]


def apply_in_any_order(kubectl: Kubectl, documents: list[Object], order: random.Random) -> None:
    """One by one, as a tool does that knows no order: what is refused for want of another is applied again."""
    left = order.sample(documents, len(documents))

    def go_on() -> bool:
        for one in list(left):
            done = kubectl.run("apply", "-f", "-", stdin=yaml.safe_dump(one), check=False)
            if done.returncode == 0:
                left.remove(one)
        return not left

    until(go_on, "all is applied", 120, lambda: str([one["metadata"]["name"] for one in left]), 2)


def create_namespace(kubectl: Kubectl) -> None:
    kubectl.run("create", "namespace", kubectl.namespace)


def lose_everything(kubectl: Kubectl) -> None:
    """The namespace goes with all that is in it, protected or not; the bucket stays."""
    kubectl.run("delete", "namespace", kubectl.namespace, "--timeout=180s", seconds=200)


def over(restore: Object) -> bool:
    return phase("Completed", "Failed")(restore)


def seen(home: Kubectl) -> str:
    return home.run("get", "pgwarden", "-o", "wide", check=False).stdout


def wait_whole(home: Kubectl, postgres: Postgres, cluster: Cluster, rows: str) -> None:
    cluster.wait_ready(600)
    until(lambda: [over(one) for one in home.list("pgr")] == [True], "the Restore ends", 600, lambda: seen(home))
    home.until("pgrepo", "rhino", is_true("Archiving"), "archives", 120)
    postgres.wait_ready()
    assert postgres.sql(FINGERPRINT) == rows
    assert cluster.sql(FINGERPRINT) == rows


@pytest.mark.timeout(3600)
def test_the_same_folder_applied_to_nothing_brings_the_rows_back(installed, home: Kubectl, store: Store, bucket: str):
    documents = folder(installed, store, bucket, **RECOVER)
    postgres, cluster = Postgres(home), Cluster(home)
    create_namespace(home)
    apply_in_any_order(home, documents, random.Random(0))
    cluster.wait_ready(400)
    home.until("pgb", "whole", phase("Completed"), "is completed", 300)
    for one in (postgres, cluster):
        one.sql(FILL)
    was = system(postgres), system(cluster)
    for number in range(FIRST, FIRST + ROUNDS):
        for one in (postgres, cluster):
            one.sql(f"INSERT INTO accounts VALUES ({-number}, 'round {number}')")
        rows = postgres.sql(FINGERPRINT)
        archived(postgres, f"{home.namespace}/rhino", store, bucket)
        archived(cluster, f"{home.namespace}/hippo", store, bucket)
        lose_everything(home)
        create_namespace(home)
        apply_in_any_order(home, documents, random.Random(number))
        wait_whole(home, postgres, cluster, rows)
        assert (system(postgres), system(cluster)) == was
        restores = home.list("pgr")
        assert [one["status"]["phase"] for one in restores] == ["Completed"], restores
        assert home.get("pgb", "whole")["status"]["reason"] == "Record"
        told = condition(home.get("pgc", "hippo"), "DataSource")
        assert (told["status"], told["reason"]) == ("True", "Recovered")
        config = home.get("configmap", "hippo-config")["metadata"]["annotations"]
        assert config["initialize"] == was[1]


# --- a PostgresCluster, deleted and applied again ------------------------------------------------------------------


def test_a_cluster_is_protected_and_once_deleted_nothing_is_created_over_its_backups(space: Kubectl):
    wanted = manifest("zebra", 2)
    del wanted["spec"]["deletionProtection"]
    space.apply(wanted)
    zebra = Cluster(space, "zebra")
    zebra.wait_ready(400)
    zebra.sql(FILL)
    rows, mine = zebra.sql(FINGERPRINT), system(zebra)
    zebra.sql("SELECT pg_switch_wal()")
    done = space.run("delete", "pgc", "zebra", check=False)
    assert done.returncode != 0
    assert "deletionProtection" in done.stderr
    lift = done.stderr[done.stderr.index("kubectl -n") :].strip()
    patch = """patch postgrescluster zebra --type=merge -p '{"spec":{"deletionProtection":false}}'"""
    assert lift == f"kubectl -n {space.namespace} {patch}"
    for _ in range(2):
        zebra.change(deletionProtection=False)
        space.delete("pgc", "zebra")
        space.run("wait", "--for=delete", "pod", "-l", "pgwarden.io/cluster=zebra", "--timeout=120s", seconds=150)
        again = json.loads(json.dumps(wanted))
        space.apply(again)
        told = space.until("pgc", "zebra", lambda one: reason(one, "Ready") == "RepositoryNotEmpty", "is refused", 120)
        assert told["status"]["phase"] == "Failed"
        assert mine in condition(told, "Ready")["message"]
        assert reason(told, "BackedUp") == "NoBackup"
        assert space.list("deployment", "pgwarden.io/cluster=zebra,pgwarden.io/instance") == []
        zebra.change(repository=RECOVER)
        status = zebra.wait_ready(600)
        assert zebra.sql(FINGERPRINT) == rows
        assert (status["systemIdentifier"], status["timeline"] > 1) == (mine, True)
        assert reason({"status": status}, "DataSource") == "Recovered"
        assert zebra.sql(FINGERPRINT, "zebra-2") == rows
        zebra.start_writing()
        space.delete("pod", "writer")


# --- the former owner ----------------------------------------------------------------------------------------------


def test_nobody_takes_over_from_who_still_archives(installed, space: Kubectl, home: Kubectl, store: Store, bucket: str):
    """By another name of the same S3 service, as from another Kubernetes: no rule sees that the folder is taken."""
    path = f"/{uuid.uuid4().hex[:8]}"
    mine = spec_on(bucket, s3={"path": path})
    space.apply(*store.secrets(), manifest("owner", 1, repository=mine))
    owner = Cluster(space, "owner")
    owner.wait_ready(400)
    create_namespace(home)
    home.apply(*store.secrets())
    other = manifest("owner", 1, repository=spec_on(bucket, s3={"path": path}, **RECOVER))
    assert f"is used by Repository {space.namespace}/owner" in home.refused(other)
    other["spec"]["repository"]["s3"]["endpoint"] = S3_HOST
    owner.sql("CREATE TABLE alive (id int)")
    owner.sql("SELECT pg_switch_wal()")
    home.apply(other)
    told = home.until("pgc", "owner", lambda one: reason(one, "Ready") == "FormerOwnerArchives", "is refused", 120)
    assert f"(Repository {space.namespace}/owner)" in condition(told, "Ready")["message"]
    assert home.list("deployment", "pgwarden.io/instance") == []
    home.delete("pgc", "owner")


# --- another cluster's backups under a living one ------------------------------------------------------------------


STREAMS = "SELECT count(*) FROM pg_stat_replication WHERE usename = 'replicator' AND state = 'streaming'"


def log_in_by_the_secret(cluster: Cluster) -> None:
    """An application through the Service, and the replicas: the roles of the data have the passwords of the Secret."""
    cluster.start_writing()
    written, _ = cluster.stop_writing()
    until(lambda: cluster.sql(STREAMS) == "1", "the replica streams", 120)
    replica = next(one["name"] for one in cluster.status()["instances"] if one["role"] == "replica")
    until(lambda: written <= cluster.rows(replica), f"{replica} has each row", 60)


def test_a_restore_of_another_cluster_ends_when_the_service_takes_writes(space: Kubectl, store: Store, bucket: str):
    """The cluster was created anew over an empty folder, then somebody put the old folder back."""
    path = f"/{uuid.uuid4().hex[:8]}"
    wanted = manifest("phoenix", 2, repository=spec_on(bucket, s3={"path": path}))
    space.apply(*store.secrets(), wanted)
    phoenix = Cluster(space, "phoenix")
    phoenix.wait_ready(400)
    phoenix.sql(FILL)
    rows, was = phoenix.sql(FINGERPRINT), system(phoenix)
    phoenix.sql("SELECT pg_switch_wal()")
    space.delete("pgc", "phoenix")
    space.run("wait", "--for=delete", "pod", "-l", "pgwarden.io/cluster=phoenix", "--timeout=120s", seconds=150)
    place = store.cluster.s3 / "buckets" / bucket / path.strip("/")
    kept = Path(f"{place}.kept")
    place.rename(kept)
    space.apply(wanted)
    phoenix.wait_ready(400)
    assert system(phoenix) != was
    shutil.rmtree(place)
    kept.rename(place)
    space.until("pgrepo", "phoenix", lambda one: reason(one, "Ready") == "SystemIdentifierMismatch", "is told", 120)
    space.apply({
        "apiVersion": API_VERSION, "kind": "Restore", "metadata": {"name": "rise"},
        "spec": {"repository": "phoenix", "reenableAutofail": True},
    })  # fmt: skip
    done = space.until("pgr", "rise", phase("Completed", "Failed"), "ends", 600)
    assert done["status"]["phase"] == "Completed", done["status"]
    slices = space.list("endpointslices", "kubernetes.io/service-name=phoenix-primary")
    ready = [one for part in slices for one in part.get("endpoints") or [] if one["conditions"]["ready"]]
    assert len(ready) == 1
    assert space.get("configmap", "phoenix-config")["metadata"]["annotations"]["initialize"] == was
    assert phoenix.sql(FINGERPRINT) == rows
    phoenix.sql("CREATE TABLE since (id int)")
    phoenix.wait_ready(400)
    log_in_by_the_secret(phoenix)
