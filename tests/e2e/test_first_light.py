"""The thinnest path through the whole: apply, archive, back up, lose data, restore to a moment, rows back."""

from __future__ import annotations

import pytest

from harness.kubectl import Kubectl, condition, is_true, phase
from harness.postgres import Postgres, manifests, statefulset


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    """The demo's PostgreSQL under the demo's Repository, archiving, with one full backup."""
    space.apply(*manifests("repository"), *statefulset(installed.postgres_image))
    found = Postgres(space)
    found.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    space.apply(*manifests("backup"))
    space.until("pgb", "hippo-first", phase("Completed"), "is completed", 180)
    return found


def test_a_repository_archives_and_says_up_to_where(postgres: Postgres, space: Kubectl):
    repository = space.until("pgrepo", "hippo", lambda r: r["status"].get("backups"), "lists its backup", 60)
    assert repository["status"]["phase"] == "Ready"
    assert repository["status"]["archive"]["max"] in condition(repository, "Archiving")["message"]
    assert repository["status"]["backups"][0]["type"] == "full"
    assert repository["status"]["backups"][0]["backup"] == "hippo-first"


def test_a_restore_to_a_moment_brings_back_exactly_the_rows_of_then(postgres: Postgres, space: Kubectl):
    postgres.sql("CREATE TABLE accounts AS SELECT i AS id, md5(i::text) AS name FROM generate_series(1, 20000) AS i")
    rows = postgres.sql("SELECT count(*), md5(string_agg(id || name, ',' ORDER BY id)) FROM accounts")
    moment = postgres.sql("SELECT clock_timestamp()")
    postgres.sql("INSERT INTO accounts VALUES (0, 'too late'); DROP TABLE accounts")
    space.apply(restore("rewind", time=moment))
    done = space.until("pgr", "rewind", phase("Completed", "Failed"), "ends", 300)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    assert postgres.sql("SELECT count(*), md5(string_agg(id || name, ',' ORDER BY id)) FROM accounts") == rows


def test_the_old_volume_is_kept(postgres: Postgres, space: Kubectl):
    done = space.get("pgr", "rewind")
    kept = space.get("pvc", done["status"]["keptClaim"])
    assert kept["status"]["phase"] == "Bound"
    assert kept["spec"]["volumeName"] == done["status"]["oldVolume"]
    assert kept["spec"]["volumeName"] != space.get("pvc", "data-postgres-0")["spec"]["volumeName"]


def restore(name: str, **target: str) -> dict:
    spec = {"repository": "hippo"} | ({"target": target} if target else {})
    return {"apiVersion": "pgwarden.io/v1alpha1", "kind": "Restore", "metadata": {"name": name}, "spec": spec}
