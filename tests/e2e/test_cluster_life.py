"""The life of a PostgresCluster: made, written to, killed, held, changed and made smaller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest

from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, condition, is_true, phase
from harness.probes import unprobed
from harness.s3_steps import figure
from harness.waiting import until

LITTLE_WAL = {"wal_keep_size": "16MB", "min_wal_size": "32MB", "max_wal_size": "64MB"}
STARTED = "pg_postmaster_start_time()"
OLDEST_SEGMENT = "SELECT min(name) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'"


@pytest.fixture(scope="module")
def hippo(installed, space: Kubectl) -> Cluster:
    # Little WAL is kept, so that a replica that is away for a moment has missed some.
    return Cluster.made(space, manifest(synchronous=True, parameters=LITTLE_WAL))


def test_it_is_archived_and_backed_up_by_itself(hippo: Cluster, space: Kubectl):
    status = hippo.status()
    assert (status["primary"], status["ready"], status["autofail"]) == ("hippo-1", "2/2", "on")
    assert status["lastBackup"]["type"] == "full"
    assert status["recoveryWindow"]["latest"] >= status["recoveryWindow"]["earliest"]
    repository = space.get("pgrepo", "hippo")
    assert condition(repository, "Archiving")["status"] == "True"
    assert all(pod["injected"] for pod in repository["status"]["pods"])


def test_the_replica_was_restored_from_the_repository(hippo: Cluster, space: Kubectl):
    log = space.run("logs", "deployment/hippo-2", "-c", "postgres").stdout
    assert "replica has been created using pgbackrest" in log
    assert "restored log file" in log  # what came after the backup, from the archive
    assert "pg_basebackup" not in log
    assert hippo.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1"


def test_the_primary_killed_under_load_loses_no_acknowledged_row(hippo: Cluster):
    hippo.start_writing()
    before = hippo.primary()
    hippo.kill(before)
    until(lambda: hippo.primary() not in {before, ""}, "another instance is the primary", 120)
    hippo.wait_written(50)
    acknowledged, outage = hippo.stop_writing()
    figure(f"{outage:.1f} s without a write")
    status = hippo.wait_ready()
    assert acknowledged <= hippo.rows()
    assert status["timeline"] == 2
    assert {one["role"] for one in status["instances"]} == {"primary", "replica"}
    until(lambda: hippo.rows(before) == hippo.rows(), f"{before} has the same rows", 60)


def test_both_pods_replaced_at_once_lose_nothing_though_patroni_knew_them_by_name(hippo: Cluster):
    """Synchronous: only those that Patroni noted may take over, and neither name is left."""
    hippo.wait_ready()
    rows, pods = hippo.rows(), {one["pod"] for one in hippo.status()["instances"]}
    for one in ("hippo-1", "hippo-2"):
        hippo.kill(one)
    until(
        lambda: hippo.primary() and not {one.get("pod") for one in hippo.status()["instances"]} & pods, "a primary", 180
    )
    hippo.wait_ready()
    assert hippo.rows() == rows


def test_a_replica_that_was_away_reads_what_it_missed_from_the_archive(hippo: Cluster, space: Kubectl):
    away = next(one["name"] for one in hippo.wait_ready()["instances"] if one["role"] == "replica")
    pod = hippo.pod(away)
    space.run("scale", "deployment", away, "--replicas=0")
    until(lambda: space.get("pod", pod) is None, f"{away} is down", 120)
    stopped_at = hippo.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
    for number in range(6):
        hippo.sql(f"CREATE TABLE missed_{number} AS SELECT {number} AS i; SELECT pg_switch_wal()")
    until(
        lambda: hippo.sql(f"CHECKPOINT; {OLDEST_SEGMENT}").split()[-1] > stopped_at,
        "the primary has not the WAL any more",
        120,
    )
    space.run("scale", "deployment", away, "--replicas=1")
    until(lambda: hippo.status()["ready"] == "2/2", f"{away} is back", 180)
    until(lambda: hippo.sql("SELECT to_regclass('missed_5')", away) != "", f"{away} has replayed the last of it", 60)
    assert hippo.sql("SELECT i FROM missed_5", away) == "5"
    log = space.run("logs", f"deployment/{away}", "-c", "postgres").stdout
    assert "restored log file" in log
    assert "replica has been created" not in log


def test_with_autofail_off_the_primary_comes_back_and_nobody_takes_over(hippo: Cluster):
    hippo.change(autofail=False)
    until(lambda: hippo.status()["autofail"] == "off", "autofail is off", 60)
    before, timeline, rows = hippo.primary(), hippo.status()["timeline"], hippo.rows()
    pod = hippo.pod(before)
    hippo.kill(before)
    hippo.wait_returned(before, pod)
    assert hippo.rows() == rows
    hippo.sql("CREATE TABLE after_the_hold AS SELECT 1 AS one")
    assert hippo.status()["timeline"] == timeline
    hippo.change(autofail=True)
    until(lambda: hippo.status()["autofail"] == "on", "autofail is on", 60)
    hippo.wait_ready()


def test_a_pod_that_is_made_anew_waits_until_the_one_before_has_let_go_of_the_volume(hippo: Cluster, space: Kubectl):
    """Kubernetes makes it at once, on the same volume, and with autofail off we start PostgreSQL in it ourselves."""
    hippo.change(autofail=False)
    until(lambda: hippo.status()["autofail"] == "off", "autofail is off", 60)
    before, rows = hippo.primary(), hippo.rows()
    old = hippo.pod(before)
    checkpointer = hippo.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")

    def signal(name: str) -> None:
        space.run("exec", old, "-c", "postgres", "--", "sh", "-c", f"kill -{name} {checkpointer}")

    def waits() -> bool:
        new = [pod["metadata"]["name"] for pod in space.list("pods", f"pgwarden.io/instance={before}")]
        logs = [space.run("logs", pod, "-c", "postgres", check=False).stdout for pod in new if pod != old]
        return any("waiting for the pod before" in log for log in logs)

    signal("STOP")  # so PostgreSQL cannot end
    space.run("delete", "pod", old, "--wait=false")
    until(waits, "the new pod waits", 60)
    assert space.run("exec", old, "-c", "postgres", "--", "test", "-s", "/pgdata/data/postmaster.pid").returncode == 0
    signal("CONT")
    hippo.wait_returned(before, old)
    assert hippo.rows() == rows
    hippo.change(autofail=True)
    hippo.wait_ready()


def test_parameters_that_need_a_restart_roll_the_replica_and_then_switch_over(hippo: Cluster):
    status = rolled(hippo, parameters=LITTLE_WAL | {"max_connections": 123, "work_mem": "5MB"})
    for one in status["instances"]:
        assert hippo.sql("SHOW max_connections", one["name"]) == "123"
        assert hippo.sql("SHOW work_mem", one["name"]) == "5MB"


def test_other_resources_roll_the_replica_first_and_the_primary_last_though_it_misses_probes(
    hippo: Cluster, space: Kubectl, installed
):
    """A primary that is not ready for a moment holds its lock: nothing is renewed without a switchover for that."""
    before = {one["pod"] for one in hippo.status()["instances"]}
    wanted = {"requests": {"cpu": "110m", "memory": "272Mi"}}
    primary = hippo.primary()
    pod = space.get("pod", hippo.pod(primary))

    @contextmanager
    def unready() -> Iterator[None]:
        with unprobed(installed.cluster, pod):
            space.until("pod", pod["metadata"]["name"], lambda one: not is_true("Ready")(one), "is not ready", 60)
            yield
            waits = f"rolling: waiting for {primary}, which has not been ready since "
            space.until("pgc", "hippo", lambda one: waits in condition(one, "Complete")["message"], waits, 30)

    status = rolled(hippo, unready(), instances={"resources": wanted})
    pods = {one["pod"] for one in status["instances"]}
    assert not pods & before
    for pod in pods:
        container = next(one for one in space.get("pod", pod)["spec"]["containers"] if one["name"] == "postgres")
        assert container["resources"] == wanted


def rolled(hippo: Cluster, meanwhile: AbstractContextManager[None] | None = None, **change: object) -> dict:
    """The status after a change under a writing client: replica first, then a switchover, who was the primary last."""
    status = hippo.wait_ready()
    before = status["primary"]
    replica = next(one["name"] for one in status["instances"] if one["name"] != before)
    hippo.start_writing()
    changed = hippo.time("clock_timestamp()")
    with meanwhile or nullcontext():
        hippo.change(**change)
    until(lambda: hippo.primary() == replica, f"{replica} is the primary", 240)
    status = hippo.wait_ready()
    hippo.wait_written(20)
    acknowledged, outage = hippo.stop_writing()
    figure(f"{outage:.1f} s without a write")
    assert acknowledged <= hippo.rows()
    until(lambda: hippo.rows(before) == hippo.rows(), f"{before} has the same rows", 60)
    switched = until(lambda: hippo.promotions().get(status["timeline"]), "Patroni remembers the switchover", 60)
    assert changed < hippo.time(STARTED, replica) < switched < hippo.time(STARTED, before)
    return status


def test_made_smaller_it_keeps_its_data_whoever_is_the_primary(hippo: Cluster, space: Kubectl):
    rows = hippo.rows()
    space.run("scale", "pgc", "hippo", "--replicas=1")
    status = hippo.wait_ready()
    assert (status["primary"], status["ready"]) == ("hippo-1", "1/1")
    assert hippo.rows() == rows


def test_made_greater_before_the_removed_volume_is_gone_it_gets_a_new_one(hippo: Cluster, space: Kubectl):
    space.run("scale", "pgc", "hippo", "--replicas=2")
    before = uid(space, "hippo-2")
    hippo.wait_ready()
    space.run("scale", "pgc", "hippo", "--replicas=1")
    until(lambda: space.get("deployment", "hippo-2") is None, "hippo-2 is removed", 120)
    space.run("scale", "pgc", "hippo", "--replicas=2")
    hippo.wait_ready()
    assert uid(space, "hippo-2") != before
    until(lambda: hippo.rows("hippo-2") == hippo.rows(), "hippo-2 has the rows", 60)


def test_deleted_while_a_client_writes_and_applied_again_it_has_every_acknowledged_row(hippo: Cluster, space: Kubectl):
    before = hippo.status()["systemIdentifier"]
    hippo.start_writing()
    space.run("delete", "pgc", "hippo", "--wait=false")
    told = space.until("pgc", "hippo", phase("Deleting"), "is being deleted", 60)
    assert "archiving the last WAL" in told["status"]["message"]
    space.run("wait", "--for=delete", "pgc/hippo", "--timeout=120s", seconds=150)
    acknowledged, _ = hippo.stop_writing()
    reasons = {one["reason"] for one in space.list("events") if one["involvedObject"]["name"] == "hippo"}
    assert "LastWALArchived" in reasons
    assert "LastWALNotArchived" not in reasons
    space.apply(manifest(repository={"onExistingBackups": "Recover"}))
    assert hippo.wait_ready(400)["systemIdentifier"] == before
    assert acknowledged - hippo.rows() == set()


def test_deleted_and_made_again_at_once_it_begins_afresh(hippo: Cluster, space: Kubectl):
    before = hippo.status()["systemIdentifier"]
    space.run("delete", "pgc/hippo", "pvc/hippo-pgbackrest-repo", "--wait=false")
    space.run("wait", "--for=delete", "pgc/hippo", "--timeout=120s", seconds=150)
    space.apply(manifest())
    status = hippo.wait_ready(300)
    assert status["ready"] == "2/2"
    assert status["systemIdentifier"] != before
    assert hippo.sql("SELECT to_regclass('written') IS NULL") == "t"


def uid(space: Kubectl, claim: str) -> str:
    return str(until(lambda: space.get("pvc", claim), f"claim {claim}", 60)["metadata"]["uid"])
