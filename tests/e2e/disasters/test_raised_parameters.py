"""Parameters that a server in recovery may not have less of than the primary had: raised, or lowered, after the backup.

PostgreSQL writes them into its WAL. A recovery that reads there of more than it has pauses, or ends.
"""

from __future__ import annotations

import json

import pytest

from harness import foretold
from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, is_true, phase
from harness.objects import backup, protect, restore
from harness.postgres import Postgres
from harness.waiting import until

#: Twice PostgreSQL's defaults and more.
RAISED = {
    "max_connections": 220,
    "max_worker_processes": 20,
    "max_wal_senders": 25,
    "max_prepared_transactions": 50,
    "max_locks_per_transaction": 256,
}
ROWS = "SELECT count(*), md5(string_agg(n::text, ',' ORDER BY n)) FROM notes AS n"
CONNECTIONS = "SHOW max_connections"


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    """A StatefulSet with a backup that was made with PostgreSQL's own defaults."""
    found = protect(space, installed.postgres_image)
    found.sql("CREATE TABLE notes AS SELECT i AS id, md5(i::text) AS said FROM generate_series(1, 2000) AS i")
    take_backup(space, "small")
    return found


@pytest.fixture(scope="module")
def ponto(installed, space: Kubectl) -> Cluster:
    """A PostgresCluster that has its first backup."""
    space.apply(manifest("ponto", 1))
    found = Cluster(space, "ponto")
    found.wait_ready(400)
    found.sql("CREATE TABLE notes AS SELECT i AS id, md5(i::text) AS said FROM generate_series(1, 2000) AS i")
    return found


def test_a_statefulset_whose_parameters_were_raised_since_the_backup_is_restored(postgres: Postgres, space: Kubectl):
    statements = "; ".join(f"ALTER SYSTEM SET {name} = {value}" for name, value in RAISED.items())
    for statement in statements.split("; "):
        postgres.sql(statement)
    restart(postgres, space)
    assert postgres.sql(CONNECTIONS) == str(RAISED["max_connections"])
    postgres.sql("INSERT INTO notes VALUES (-1, 'with more than the backup knew of')")
    rows = postgres.sql(ROWS)
    foretold.carried_out(space, restore("raised"), 420)
    assert postgres.sql(ROWS) == rows


def test_a_statefulset_whose_arguments_were_lowered_since_the_backup_is_restored(postgres: Postgres, space: Kubectl):
    for name in RAISED:
        postgres.sql(f"ALTER SYSTEM RESET {name}")
    with_arguments(space, {name: 2 * value for name, value in RAISED.items()})
    postgres.wait_ready()
    until(lambda: serves(postgres) == "440", "it runs with its arguments", 180)
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    take_backup(space, "large")
    postgres.sql("INSERT INTO notes VALUES (-2, 'before they were lowered')")
    with_arguments(space, RAISED)
    until(lambda: serves(postgres) == "220", "it runs with less", 180)
    postgres.sql("INSERT INTO notes VALUES (-3, 'after they were lowered')")
    rows = postgres.sql(ROWS)
    foretold.carried_out(space, restore("lowered"), 420)
    assert postgres.sql(ROWS) == rows
    assert postgres.sql(CONNECTIONS) == "220"


def test_a_cluster_whose_parameters_were_raised_since_the_backup_is_restored(ponto: Cluster, space: Kubectl):
    change(ponto, RAISED)
    ponto.sql("INSERT INTO notes VALUES (-1, 'with more than the backup knew of')")
    rows = ponto.sql(ROWS)
    foretold.carried_out(space, restore("ponto-raised", repository="ponto"), 420)
    assert ponto.sql(ROWS) == rows
    assert ponto.sql(CONNECTIONS) == str(RAISED["max_connections"])


def test_a_cluster_whose_parameters_were_lowered_since_the_backup_is_restored(ponto: Cluster, space: Kubectl):
    """The full backup after the Restore before was made with more."""
    ponto.wait_ready(300)
    change(ponto, {name: 0 if name == "max_prepared_transactions" else value // 2 for name, value in RAISED.items()})
    ponto.sql("INSERT INTO notes VALUES (-2, 'after they were lowered')")
    rows = ponto.sql(ROWS)
    foretold.carried_out(space, restore("ponto-lowered", repository="ponto"), 420)
    assert ponto.sql(ROWS) == rows
    assert ponto.sql(CONNECTIONS) == str(RAISED["max_connections"] // 2)


# --- how it is done -----------------------------------------------------------------------------------------------


def take_backup(space: Kubectl, name: str) -> None:
    space.apply(backup(name, "--type=full"))
    done = space.until("pgb", name, phase("Completed", "Failed"), "ends", 180)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]


def restart(postgres: Postgres, space: Kubectl) -> None:
    space.delete("pod", postgres.pod)
    until(lambda: serves(postgres), "it serves again", 180)


def with_arguments(space: Kubectl, parameters: dict[str, int]) -> None:
    words = [word for name, value in parameters.items() for word in ("-c", f"{name}={value}")]
    container = {"name": "postgres", "args": ["postgres", *words]}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    space.run("patch", "statefulset", "postgres", "--type=strategic", "-p", json.dumps(patch))


def serves(postgres: Postgres) -> str:
    """max_connections of the server, where it answers; else empty."""
    words = (
        "exec",
        postgres.pod,
        "-c",
        "postgres",
        "--",
        "psql",
        "-X",
        "-A",
        "-t",
        "-U",
        "postgres",
        "-c",
        CONNECTIONS,
    )
    return postgres.kubectl.run(*words, check=False).stdout.strip()


def change(cluster: Cluster, parameters: dict[str, int]) -> None:
    """And wait until PostgreSQL runs with it."""
    cluster.change(parameters=parameters)
    wanted = str(parameters["max_connections"])
    until(lambda: cluster.status().get("primary") and in_force(cluster) == wanted, "they are in force", 300)
    cluster.wait_ready(300)


def in_force(cluster: Cluster) -> str:
    words = (
        "exec",
        f"deployment/{cluster.primary()}",
        "-c",
        "postgres",
        "--",
        "psql",
        "-X",
        "-A",
        "-t",
        "-c",
        CONNECTIONS,
    )
    return cluster.kubectl.run(*words, check=False).stdout.strip()
