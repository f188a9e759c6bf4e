"""The whole machine off and on, with failurePolicy Fail: everything comes back by itself. The last module of all."""

from __future__ import annotations

import pytest

from harness.install import NAMESPACE, wait_admission
from harness.kubectl import Kubectl, is_true
from harness.postgres import Postgres, manifests, statefulset
from harness.waiting import until
from localcluster import lifecycle, teardown


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    space.apply(*manifests("repository"), *statefulset(installed.postgres_image, storage="1Gi"))
    found = Postgres(space)
    found.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 180)
    found.sql("CREATE TABLE kept AS SELECT i FROM generate_series(1, 1000) AS i")
    found.sql("SELECT pg_switch_wal()")
    return found


@pytest.fixture(params=[10.0, 0.0], ids=["in order", "by a power cut"])
def restarted(request, installed, postgres: Postgres, space: Kubectl) -> str:
    """The last WAL segment that was archived before everything was stopped."""
    own = installed.cluster.local
    if own is None:
        pytest.skip("a foreign cluster is not stopped")
    policies = space.run(
        "get", "mutatingwebhookconfiguration", "pgwarden", "-o", "jsonpath={.webhooks[*].failurePolicy}"
    ).stdout
    assert set(policies.split()) == {"Fail"}
    segment = postgres.sql("SELECT last_archived_wal FROM pg_stat_archiver")
    with lifecycle.locked(own):
        teardown.stop(own, grace=request.param)
    lifecycle.up(own)
    return segment


def test_a_cluster_that_was_stopped_comes_back_by_itself(restarted: str, installed, postgres: Postgres, space: Kubectl):
    system = space.within(NAMESPACE)
    for name in ("pgwarden-webhook", "pgwarden-controller"):
        system.run("rollout", "status", f"deployment/{name}", "--timeout=180s", seconds=200)
    wait_admission(installed.kubectl, 120)
    postgres.wait_ready()
    assert postgres.sql("SELECT count(*) FROM kept") == "1000"
    space.run("rollout", "status", "deployment/hippo-pgbackrest", "--timeout=180s", seconds=200)
    postgres.sql("CREATE TABLE IF NOT EXISTS tick (i int)")
    postgres.sql("INSERT INTO tick VALUES (1); SELECT pg_switch_wal()")

    def newer(repository) -> bool:
        archive = repository["status"].get("archive") or {}
        return (archive.get("max") or "") > restarted and is_true("Archiving")(repository)

    space.until("pgrepo", "hippo", newer, f"archives beyond {restarted}", 180)


def test_a_database_that_is_made_anew_after_it_is_injected_again(installed, postgres: Postgres, space: Kubectl):
    """Admission is not merely reachable: the StatefulSet's next pod passes through it."""
    before = space.get("pod", "postgres-0")["metadata"]["uid"]
    space.delete("pod", "postgres-0", wait=False)
    made = space.until("pod", "postgres-0", lambda o: o["metadata"]["uid"] != before, "is made again", 120)
    assert made["metadata"]["annotations"]["pgwarden.io/injected"]
    postgres.wait_ready()
    until(lambda: postgres.sql("SELECT count(*) FROM kept") == "1000", "its rows are there", 30)
