"""A PostgresCluster cloned from another's Repository, on a volume or in S3: its latest state, and a moment, also into
another namespace; and what comes between.
"""

from __future__ import annotations

import hashlib
import uuid

import pytest
import yaml

from harness.cluster import Cluster, manifest
from harness.direct import direct
from harness.half_way import kill_half_way
from harness.kubectl import Kubectl, Object, condition, phase
from harness.objects import archived, in_host
from harness.postgres import SWITCH
from harness.s3 import Store, repository
from harness.scene import Scene
from harness.waiting import until

FINGERPRINT = "SELECT count(*), md5(string_agg(id || name, ',' ORDER BY id)) FROM accounts"
FILES = "find /pgwarden/repo -type f -exec md5sum {} + | sort -k2"
OF_JOB = "batch.kubernetes.io/job-name"
#: A source archives nothing by itself, so that what its repository holds can be compared to the last file.
QUIET = {"archive_timeout": "1h"}


def copy_of(name: str, replicas: int = 1, **source: object) -> dict:
    return manifest(name, replicas, dataSource={"repository": "source"} | source)


def files(space: Kubectl) -> list[str]:
    """Each file of the source's repository, with its checksum."""
    return in_host(space, "sh", "-c", FILES, name="source").splitlines()


def objects(store: Store, bucket: str) -> dict[str, str]:
    """Each object of the bucket, with its checksum."""
    return {path: hashlib.sha256(store.content(bucket, path)).hexdigest() for path in store.objects(bucket)}


def filled(space: Kubectl, name: str) -> Cluster:
    found = Cluster(space, name)
    found.wait_ready(300)
    found.sql("CREATE TABLE accounts AS SELECT i AS id, md5(i::text) AS name FROM generate_series(1, 20000) AS i")
    return found


@pytest.fixture(scope="module")
def bucket(installed, space: Kubectl) -> str:
    """With the cluster `afar` begun in it; empty where the cluster has no store of ours."""
    if installed.cluster.local is None:
        return ""
    store = Store(installed.cluster.local)
    made = store.make_bucket(f"clone-{uuid.uuid4().hex[:6]}")
    space.apply(*store.secrets(), manifest("afar", 1, parameters=QUIET, repository=repository("s3", made)["spec"]))
    return made


@pytest.fixture(scope="module")
def near(installed, space: Kubectl, bucket: str) -> dict | None:
    """A clone of `afar`, begun: the rows that it is to have, and the bucket as it is to stay."""
    if not bucket:
        return None
    store, afar = Store(installed.cluster._own()), filled(space, "afar")
    rows, last = afar.sql(FINGERPRINT), afar.sql(SWITCH)
    until(lambda: any(f"/{last}-" in path for path in store.objects(bucket)), f"{last} is in the bucket", 60)
    before = objects(store, bucket)
    space.apply(manifest("near", 1, dataSource={"repository": "afar"}))
    return {"rows": rows, "objects": before}


@pytest.fixture(scope="module")
def source(installed, space: Kubectl, bucket: str) -> Cluster:
    space.apply(manifest("source", 1, parameters=QUIET))
    return filled(space, "source")


@pytest.fixture(scope="module")
def moment(source: Cluster, space: Kubectl) -> dict[str, str]:
    """A time, the rows at that time, and the rows afterwards; all of it is archived."""
    rows, time = source.sql(FINGERPRINT), source.sql("SELECT clock_timestamp()")
    source.sql("INSERT INTO accounts VALUES (0, 'too late')")
    last = source.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
    source.sql("SELECT pg_switch_wal()")
    until(lambda: last in archived(space, "source"), "all is archived", 60)
    return {"time": time, "rows": rows, "latest": source.sql(FINGERPRINT)}


def test_another_namespace_is_refused_until_the_source_allows_it(source: Cluster, space: Kubectl, far: Kubectl):
    asked = copy_of("past", namespace=space.namespace)
    assert f"can add {far.namespace} to spec.cloneableFrom" in far.refused(asked)
    source.change(repository={"cloneableFrom": [far.namespace]})
    until(lambda: space.get("pgrepo", "source")["spec"].get("cloneableFrom"), "the Repository allows it", 60)
    far.run("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(asked))


def test_clones_have_the_rows_and_the_source_is_as_it_was(
    source: Cluster, moment: dict[str, str], near: dict | None, space: Kubectl, far: Kubectl
):
    before = files(space)
    space.apply(copy_of("twin"), copy_of("nowhere", target={"name": "never-made"}))
    past = copy_of("past", 2, namespace=space.namespace, target={"time": moment["time"]})
    past["spec"]["repository"] = {"local": {"size": "1Gi", "storageClassName": "standard-2"}}
    far.apply(past)
    twin, then = Cluster(space, "twin"), Cluster(far, "past")
    for clone, rows in ((twin, moment["latest"]), (then, moment["rows"])):
        status = clone.wait_ready(400)
        assert clone.sql(FINGERPRINT) == rows
        assert condition({"status": status}, "DataSource")["reason"] == "Cloned"
        assert status["timeline"] == source.status()["timeline"] + 1
        assert status["lastBackup"]["type"] == "full"
    assert then.sql(FINGERPRINT, "past-2") == moment["rows"]
    log = far.run("logs", "deployment/past-2", "-c", "postgres").stdout
    assert "replica has been created using pgbackrest" in log  # from the clone's own repository
    failed = space.until("pgc", "nowhere", phase("Failed"), "fails", 300)
    said = condition(failed, "DataSource")
    assert said["reason"] == "CloneFailed"
    assert "TargetNotReached: " in said["message"]
    assert "no name never-made" in said["message"]
    assert failed["status"]["recovery"]["reason"] == "TargetNotReached"
    assert files(space) == before
    assert source.sql(FINGERPRINT) == moment["latest"]


def test_a_clone_under_way_ends_when_its_source_no_longer_allows_it(source: Cluster, space: Kubectl, far: Kubectl):
    wanted = copy_of("late", namespace=space.namespace)
    wanted["spec"]["image"] = "pgwarden.invalid/never-pulled:17"  # so it is under way until somebody ends it
    source.change(repository={"cloneableFrom": [far.namespace]})
    until(lambda: space.get("pgrepo", "source")["spec"].get("cloneableFrom"), "the Repository allows it", 60)
    far.apply(wanted)
    until(lambda: far.get("job", "late-recovery"), "the recovery has begun", 60)
    source.change(repository={"cloneableFrom": []})
    failed = far.until("pgc", "late", phase("Failed"), "ends", 60)
    said = condition(failed, "DataSource")
    assert said["reason"] == "CloneFailed"
    assert f"no longer allows clones into namespace {far.namespace}" in said["message"]
    until(lambda: not far.get("job", "late-recovery") and not far.get("pvc", "late-1"), "nothing of it is left", 60)
    assert not far.get("secret", "late-source").get("data")
    events = space.run("get", "events", "--field-selector=reason=CloneEnded", "-o", "name").stdout
    assert events.strip()


def test_a_clone_goes_its_own_way(source: Cluster, moment: dict[str, str], space: Kubectl):
    twin = Cluster(space, "twin")
    twin.sql("INSERT INTO accounts VALUES (-1, 'of the clone')")
    assert source.sql(FINGERPRINT) == moment["latest"]
    by_service = "PGPASSWORD=$PGWARDEN_APP_PASSWORD psql -X -A -t -h twin-primary -U app -d app -c 'SELECT 1'"
    assert twin.postgres().run("sh", "-c", by_service).strip() == "1"
    history = f"{twin.status()['timeline']:08X}.history"
    assert in_host(space, "find", "/pgwarden/repo/archive/twin", "-name", history, name="twin").strip()


def test_its_repository_has_a_storage_class_of_its_own_and_a_drain_takes_one_instance(far: Kubectl):
    assert far.get("pvc", "past-pgbackrest-repo")["spec"]["storageClassName"] == "standard-2"
    assert {far.get("pvc", f"past-{n}")["spec"]["storageClassName"] for n in (1, 2)} == {"standard"}
    budget = far.get("pdb", "past")["status"]
    assert (budget["expectedPods"], budget["disruptionsAllowed"]) == (2, 1)


def test_nothing_is_left_of_what_a_clone_read_its_source_by(space: Kubectl):
    assert not space.get("secret", "twin-source").get("data")
    until(lambda: space.get("deployment", "nowhere-1") is None, "the instance of the failed clone is gone", 60)
    until(lambda: space.get("pvc", "nowhere-1") is None, "its volume is gone", 60)
    assert not space.get("secret", "nowhere-source").get("data")


def test_a_clone_of_a_cluster_in_s3_has_its_rows_and_leaves_each_object_of_the_bucket_as_it_was(
    installed, near: dict, space: Kubectl, bucket: str
):
    store, clone = Store(installed.cluster._own()), Cluster(space, "near")
    assert condition({"status": clone.wait_ready(300)}, "DataSource")["reason"] == "Cloned"
    assert clone.sql(FINGERPRINT) == near["rows"]
    assert objects(store, bucket) == near["objects"]


def test_a_clone_waits_for_its_sources_host_and_goes_on_where_it_was_killed_half_way(
    installed, source: Cluster, moment: dict[str, str], space: Kubectl
):
    installed.cluster._own()  # its processes are this machine's
    before = files(space)
    space.run("scale", "deployment/source-pgbackrest", "--replicas=0")
    host = "pgwarden.io/for-repository=source,pgwarden.io/component=host"
    until(lambda: not space.list("pods", host), "the source's repository host is away", 60)
    space.apply(copy_of("tough"))
    said = condition(space.until("pgc", "tough", _waits_for_its_source, "says what it waits for", 90), "DataSource")
    assert said["message"] == "Repository source: its repository host has no running pod"
    shown = space.run("get", "pgc", "tough", "-o", "wide", "--no-headers").stdout
    assert said["message"] in shown  # the column WHY
    assert space.get("deployment", "tough-1") is None
    tough = Cluster(space, "tough")
    with direct(space) as api:
        space.run("scale", "deployment/source-pgbackrest", "--replicas=1")
        killed = kill_half_way(Scene(tough, api), f"{OF_JOB}=tough-recovery", "/pgdata/clone")
    assert space.get("deployment", "tough-1") is None  # the volume is filled before the instance is made
    begun = until(lambda: _begun_again(space, killed), "pgBackRest restores in another pod", 120)
    assert "--delta" in begun
    seen = space.until("pgc", "tough", _recovers, "tells how its recovery stands", 60)["status"]["recovery"]
    assert seen["phase"] in {"Copying", "Starting", "Replaying", "Promoting", "Stopping"}
    assert seen["log"]
    done = {"status": tough.wait_ready(300)}
    assert condition(done, "DataSource")["reason"] == "Cloned"
    assert "PostgreSQL recovered to 20" in condition(done, "DataSource")["message"]
    assert "recovery" not in done["status"]
    until(lambda: space.get("job", "tough-recovery") is None, "its Job is gone", 60)
    assert tough.sql(FINGERPRINT) == moment["latest"]
    assert files(space) == before


def _begun_again(space: Kubectl, killed: Object) -> str:
    """What the pod in the place of *killed* was told to restore by."""
    for pod in space.list("pod", f"{OF_JOB}=tough-recovery"):
        if pod["metadata"]["uid"] != killed["metadata"]["uid"]:
            log = space.run("logs", pod["metadata"]["name"], "-c", "pgbackrest", check=False).stdout
            return next((line for line in log.splitlines() if "restore command begin" in line), "")
    return ""


def _recovers(cluster: Object) -> bool:
    return bool(cluster["status"].get("recovery"))


def test_a_hole_in_the_sources_wal_is_named_and_never_taken_for_its_end(source: Cluster, space: Kubectl):
    """The last of all: the source has a hole from now on."""
    first = space.get("pgc", "source")["status"]["lastBackup"]["label"]
    segments = []
    for number in range(1, 6):
        source.sql(f"INSERT INTO accounts VALUES ({-number}, 'round {number}')")
        segments.append(source.sql(SWITCH))
    until(lambda: segments[-1] in archived(space, "source"), "all is archived", 60)
    missing = segments[2]
    in_host(space, "find", "/pgwarden/repo/archive/source", "-name", f"{missing}*", "-delete", name="source")
    space.apply(copy_of("holed", set=first))
    failed = space.until("pgc", "holed", phase("Failed"), "fails", 300)
    said = condition(failed, "DataSource")
    assert said["reason"] == "CloneFailed"
    assert f"MissingSegment: {missing} is missing in the archive" in said["message"]
    assert failed["status"]["recovery"]["reason"] == "MissingSegment"
    assert failed["status"].get("initialized") is None
    for kind, name in (("pvc", "holed-1"), ("job", "holed-recovery"), ("deployment", "holed-1")):
        until(lambda kind=kind, name=name: space.get(kind, name) is None, f"{kind} {name} is gone", 60)


def _waits_for_its_source(cluster: dict) -> bool:
    said = condition(cluster, "DataSource")
    return said is not None and said["reason"] == "SourceNotReachable" and "host" in said["message"]
