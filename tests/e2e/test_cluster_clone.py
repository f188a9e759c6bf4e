"""A PostgresCluster cloned from another's Repository: its latest state, and a moment, also into another namespace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, condition, phase
from harness.objects import archived, in_host
from harness.waiting import until

FINGERPRINT = "SELECT count(*), md5(string_agg(id || name, ',' ORDER BY id)) FROM accounts"
FILES = "find /pgwarden/repo -type f -exec md5sum {} + | sort -k2"


def copy_of(name: str, replicas: int = 1, **source: object) -> dict:
    return manifest(name, replicas, dataSource={"repository": "source"} | source)


def files(space: Kubectl) -> list[str]:
    """Each file of the source's repository, with its checksum."""
    return in_host(space, "sh", "-c", FILES, name="source").splitlines()


@pytest.fixture(scope="module")
def far(installed, space: Kubectl) -> Iterator[Kubectl]:
    name = f"{space.namespace}-far"
    installed.kubectl.run("create", "namespace", name)
    yield installed.kubectl.within(name)
    installed.kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def source(installed, space: Kubectl) -> Cluster:
    # It archives nothing by itself, so that what its repository holds can be compared to the last file.
    space.apply(manifest("source", 1, parameters={"archive_timeout": "1h"}))
    found = Cluster(space, "source")
    found.wait_ready(300)
    found.sql("CREATE TABLE accounts AS SELECT i AS id, md5(i::text) AS name FROM generate_series(1, 20000) AS i")
    return found


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
    assert f"can add {far.namespace} to its spec.cloneableFrom" in far.refused(asked)
    source.change(repository={"cloneableFrom": [far.namespace]})
    until(lambda: space.get("pgrepo", "source")["spec"].get("cloneableFrom"), "the Repository allows it", 60)
    far.run("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(asked))


def test_clones_have_the_rows_and_the_source_is_as_it_was(
    source: Cluster, moment: dict[str, str], space: Kubectl, far: Kubectl
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
    assert "recovery ended before configured recovery target was reached" in said["message"]
    assert files(space) == before
    assert source.sql(FINGERPRINT) == moment["latest"]


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
