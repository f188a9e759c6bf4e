"""A primary dies with WAL that it had not archived: a Restore across that moment has each committed row."""

from __future__ import annotations

import os

import pytest

from harness import failover
from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, is_true
from harness.objects import repository
from harness.postgres import SWITCH, Postgres, statefulset
from harness.waiting import until

#: How often the primary dies in each way.
ROUNDS = int(os.environ.get("PGWARDEN_FAILOVER_ROUNDS", "1"))
ROWS = "SELECT count(*), sum(i) FROM notes"
ARCHIVED = "SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver"


@pytest.fixture(scope="module")
def hippo(installed, space: Kubectl) -> Cluster:
    found = Cluster.made(space, manifest(), 400)
    found.sql("CREATE TABLE notes (i int)")
    return found


def write_segments(cluster: Cluster | Postgres, many: int) -> None:
    """So many that are complete, each with a row."""
    for number in range(many):
        cluster.sql(f"INSERT INTO notes VALUES ({number})")
        cluster.sql("SELECT pg_switch_wal()")
    cluster.sql("INSERT INTO notes VALUES (100)")


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize(
    ("death", "to_another", "unarchived"),
    [(failover.delete_pod, True, 0), (failover.delete_pod, True, 4), (failover.kill_processes, False, 4)],
    ids=["while it archives", "with segments that wait", "killed where it stands, and perhaps the primary again"],
)
def test_each_row_is_there_after_a_restore_to_the_latest_state(
    hippo: Cluster, death: failover.Death, to_another: bool, unarchived: int, number: int
):
    if unarchived:
        failover.stop_archiving(hippo)
        write_segments(hippo, unarchived)
    hippo.sql("INSERT INTO notes VALUES (1000)")
    failover.fail_over(hippo, death, to_another=to_another)
    hippo.sql("INSERT INTO notes VALUES (2000)")
    rows = hippo.sql(ROWS)
    failover.restore_latest(hippo, f"latest-{death.__name__.replace('_', '-')}-{unarchived}-{number}")
    assert hippo.sql(ROWS) == rows
    replica = next(one["name"] for one in hippo.status()["instances"] if one["role"] == "replica")
    until(lambda: hippo.sql(ROWS, replica) == rows, f"{replica} has each row", 120)


def test_a_stateful_set_that_comes_back_archives_what_waited(installed, space: Kubectl):
    """PostgreSQL itself does, by what lies in archive_status on its volume."""
    space.apply(repository("rhino"), *statefulset(installed.postgres_image, repository="rhino"))
    postgres = Postgres(space)
    postgres.wait_ready()
    space.until("pgrepo", "rhino", is_true("Archiving"), "archives", 120)
    postgres.sql("CREATE TABLE notes (i int)")
    pid = postgres.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'archiver'")
    postgres.run("sh", "-c", f"kill -STOP {pid}")
    write_segments(postgres, 4)
    last = postgres.sql(SWITCH)
    space.run("delete", "pod", postgres.pod, "--grace-period=0", "--force")
    postgres.wait_ready()
    until(lambda: postgres.sql(ARCHIVED) >= last, f"{last} is archived", 120)
