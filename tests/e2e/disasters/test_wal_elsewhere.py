"""A server with pg_wal on a volume of its own: known while it lives, and never restored onto another volume silently."""

from __future__ import annotations

import pytest

from harness import foretold
from harness.kubectl import Kubectl, Object, condition, is_true, phase
from harness.objects import backup, repository, restore
from harness.postgres import Postgres, statefulset
from pgwarden.contract import server_facts

DATABASES = 30


def with_wal_volume(image: str) -> list[Object]:
    documents = statefulset(image)
    spec = documents[-1]["spec"]
    container = spec["template"]["spec"]["containers"][0]
    container["env"].append({"name": "POSTGRES_INITDB_ARGS", "value": "--waldir=/wal/pg_wal"})
    container["volumeMounts"].append({"name": "wal", "mountPath": "/wal"})
    claim = spec["volumeClaimTemplates"][0]
    spec["volumeClaimTemplates"].append({"metadata": {"name": "wal"}, "spec": claim["spec"]})
    return documents


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    space.apply(repository(), *with_wal_volume(installed.postgres_image))
    found = Postgres(space)
    found.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    found.sql("CREATE TABLE notes (id int); INSERT INTO notes VALUES (1)")
    space.apply(backup("base", "--type=full"))
    space.until("pgb", "base", phase("Completed"), "is completed", 180)
    return found


def test_the_repository_knows_the_server_as_it_runs(postgres: Postgres, space: Kubectl):
    known = server_facts.of(space.get("pgrepo", "hippo"))
    assert known.wal_directory == "/wal/pg_wal"
    assert known.bin_dir == postgres.sql("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
    assert str(known.version_num) == postgres.sql("SHOW server_version_num")
    assert known.wal_segment_size == 16 * 2**20
    assert known.config_file == postgres.sql("SHOW config_file")
    (locale,) = known.locales
    assert [locale.collate] == postgres.sql("SELECT DISTINCT datcollate FROM pg_database").split()
    assert (locale.database_count, locale.databases) == (3, ("postgres", "template0", "template1"))
    assert (known.libc or "") in postgres.sql("SELECT version()").replace("linux-gnu", "glibc")
    assert "Wal Directory:" in space.run("describe", "pgrepo", "hippo").stdout


def test_a_reload_and_a_restart_are_seen(postgres: Postgres, space: Kubectl):
    for number in range(DATABASES):
        postgres.sql(f"CREATE DATABASE d{number}")
    postgres.sql("ALTER SYSTEM SET session_preload_libraries = 'auto_explain'")
    postgres.sql("SELECT pg_reload_conf()")

    def seen(repository: Object) -> bool:
        known = server_facts.of(repository)
        return known.session_preload_libraries == ("auto_explain",) and known.database_count == DATABASES + 3

    space.until("pgrepo", "hippo", seen, "knows the new databases and the library", 60)


def test_a_restore_in_place_is_refused_before_anything(postgres: Postgres, space: Kubectl):
    pod = space.get("pod", "postgres-0")["metadata"]["uid"]
    space.apply(restore("onto-one"))
    done = space.until("pgr", "onto-one", phase("Failed", "Completed"), "ends", 120)
    refused(done)
    assert space.get("pod", "postgres-0")["metadata"]["uid"] == pod
    assert postgres.rows("notes") == "1"
    assert sorted(one["metadata"]["name"] for one in space.list("pvc")) == [
        "data-postgres-0", "hippo-pgbackrest-repo", "wal-postgres-0",
    ]  # fmt: skip


def test_so_it_is_where_postgresql_is_dead(postgres: Postgres, space: Kubectl):
    postgres.run(
        "sh", "-c", "echo nonsense > $PGDATA/postgresql.auto.conf; kill -QUIT $(head -1 $PGDATA/postmaster.pid)"
    )
    space.until("pgrepo", "hippo", lambda r: not r["status"].get("primary"), "has no primary", 120)
    assert server_facts.of(space.get("pgrepo", "hippo")).wal_directory == "/wal/pg_wal"
    space.apply(restore("of-the-dead"))
    refused(space.until("pgr", "of-the-dead", phase("Failed", "Completed"), "ends", 240))


def test_into_a_new_claim_it_is_restored_with_pg_wal_in_it(postgres: Postgres, space: Kubectl):
    foretold.carried_out(space, restore("copy", volumeClaim="copy"))


def refused(done: Object) -> None:
    assert (done["status"]["phase"], done["status"]["step"]) == ("Failed", "Fenced")
    fenced = condition(done, "Fenced")
    assert fenced["reason"] == "WalElsewhere"
    assert "pg_wal is in /wal/pg_wal, on another volume than the data directory" in fenced["message"]
    assert "spec.volumeClaim" in fenced["message"]
