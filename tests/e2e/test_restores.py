"""Restores on the real cluster: what comes back, what a wrong target costs (nothing), and what a restore survives.

The tests build on one another: each leaves a PostgreSQL that runs and archives.
"""

from __future__ import annotations

import pytest

from harness.install import kill_controller
from harness.kubectl import Kubectl, condition, is_true, phase
from harness.objects import backup, protect, restore
from harness.postgres import Postgres, reader
from harness.waiting import until


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    """With data enough that a restore can be caught at work, and a full backup of it."""
    found = protect(space, installed.postgres_image)
    found.run("pgbench", "-U", "postgres", "-i", "-s", "25", "--quiet", "postgres")
    found.sql("CREATE TABLE notes (id int PRIMARY KEY, said text); INSERT INTO notes VALUES (1, 'in the backup')")
    space.apply(backup("base", "--type=full"))
    space.until("pgb", "base", phase("Completed"), "is completed", 180)
    space.until("pgrepo", "hippo", lambda r: r["status"].get("recoveryWindow"), "knows its recovery window", 60)
    return found


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        pytest.param(
            "2001-01-01 00:00:00+00", "the earliest time that Repository hippo can recover to", id="before it all"
        ),
        pytest.param("2999-01-01T00:00:00Z", "is in the future", id="in the future"),
        pytest.param("2026-11-23 10:00:00", "zone", id="without a zone"),
    ],
)
def test_a_wrong_target_is_refused_before_anything_happens(postgres, space: Kubectl, target: str, sentence: str):
    said = space.refused(restore("wrong", {"time": target}))
    assert f'spec.target.time: "{target}": ' in said
    assert sentence in said
    assert space.get("pgr", "wrong") is None


def test_a_target_that_is_never_reached_ends_in_a_reason_and_the_old_data_is_served(postgres: Postgres, space: Kubectl):
    postgres.sql("INSERT INTO notes VALUES (2, 'before the wrong restore')")
    rows, volume = postgres.rows("notes"), volume_of(space)
    pod = space.get("pod", postgres.pod)["metadata"]["uid"]
    space.apply(restore("never", {"name": "no-such-restore-point"}))
    done = space.until("pgr", "never", phase("Completed", "Failed"), "ends", 300)
    assert done["status"]["phase"] == "Failed"
    assert (done["status"]["step"], done["status"]["reason"]) == ("Replayed", "TargetNotReached")
    assert "no-such-restore-point" in done["status"]["message"]
    assert condition(done, "RolledBack")["status"] == "True"
    assert space.get("pod", postgres.pod)["metadata"]["uid"] == pod, "a recovery that fails costs no second of downtime"
    assert volume_of(space) == volume
    assert postgres.rows("notes") == rows
    postgres.sql("INSERT INTO notes VALUES (3, 'after the wrong restore')")
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives again", 120)


def test_the_next_restore_brings_the_latest_rows_though_its_pod_is_killed(postgres: Postgres, space: Kubectl):
    postgres.sql("INSERT INTO notes VALUES (4, 'a moment before the restore')")
    rows, accounts = postgres.rows("notes"), digest(postgres)
    # One file after the other: there is time to be caught at.
    space.apply(restore("latest", options=["--process-max=1"]))
    killed = filling(space, "latest")
    space.run("delete", "pod", killed, "--force", "--grace-period=0")
    retried = until(lambda: [one for one in job_pods(space, "latest") if one != killed], "another pod restores", 90)
    assert retried
    succeeded(space, "latest", 300)
    assert postgres.rows("notes") == rows
    assert digest(postgres) == accounts


def test_a_restore_goes_on_after_each_death_of_the_controller(postgres: Postgres, space: Kubectl):
    postgres.sql("INSERT INTO notes VALUES (5, 'kept')")
    rows = postgres.rows("notes")
    moment = postgres.sql("SELECT clock_timestamp()")
    postgres.sql("INSERT INTO notes VALUES (6, 'undone')")
    space.apply(restore("haunted", {"time": moment}, newVolume={"storageClassName": "standard-2", "size": "5Gi"}))
    died_at = []
    for steps in (("Restored",), ("Replayed", "Stopped"), ("Swapped", "Started"), ("BackedUp",)):
        at = space.until("pgr", "haunted", at_step(*steps), f"is at {' or '.join(steps)}", 240)
        kill_controller(space)
        died_at.append(at["status"]["step"])
    done = succeeded(space, "haunted", 300)
    assert len(set(died_at)) == 4
    assert postgres.rows("notes") == rows
    assert len(space.list("pgb", "pgwarden.io/restore=haunted")) == 1
    assert done["status"]["timeline"] >= 3  # a restore after a restore
    claim = space.get("pvc", "data-postgres-0")["spec"]
    assert (claim["storageClassName"], claim["resources"]["requests"]["storage"]) == ("standard-2", "5Gi")
    steps = [one["type"] for one in done["status"]["conditions"] if one["status"] == "True"]
    assert steps == [
        "Validated", "Fenced", "VolumeReady", "Restored", "Replayed", "Stopped", "Recovered", "Swapped", "Started", "BackedUp",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["latest", "haunted"])
def test_the_volume_from_before_is_kept_bound_under_a_name_that_tells(postgres, space: Kubectl, name: str):
    status = space.get("pgr", name)["status"]
    kept = space.get("pvc", status["keptClaim"])
    assert kept["metadata"]["name"] == f"data-postgres-0-before-{name}"
    assert (kept["status"]["phase"], kept["spec"]["volumeName"]) == ("Bound", status["oldVolume"])
    # Retain was for the swap alone: afterwards each volume is as its class made it.
    for volume in (space.get("pv", status[one])["spec"] for one in ("oldVolume", "newVolume")):
        own = space.get("sc", volume["storageClassName"])["reclaimPolicy"]
        assert volume["persistentVolumeReclaimPolicy"] == own


def test_a_restore_into_a_claim_of_its_own_touches_nothing_else(installed, postgres: Postgres, space: Kubectl):
    rows = postgres.rows("notes")
    pod, volume = space.get("pod", postgres.pod)["metadata"]["uid"], volume_of(space)
    backups = [one["metadata"]["name"] for one in space.list("pgb")]
    space.apply(restore("aside", volumeClaim="copy"))
    done = succeeded(space, "aside", 180)
    assert done["status"]["newClaim"] == "copy"
    assert space.get("pvc", "copy")["status"]["phase"] == "Bound"
    assert space.get("pod", postgres.pod)["metadata"]["uid"] == pod
    assert volume_of(space) == volume
    assert [one["metadata"]["name"] for one in space.list("pgb")] == backups
    assert postgres.rows("notes") == rows


def test_the_claim_restored_into_holds_the_same_rows(installed, postgres: Postgres, space: Kubectl):
    rows = postgres.rows("notes")
    space.apply(reader(installed.postgres_image, "copy"))
    copy = Postgres(space, pod="reader")
    copy.wait_ready(120)
    until(lambda: copy.sql("SELECT NOT pg_is_in_recovery()") == "t", "the copy has recovered", 60)
    assert copy.rows("notes") == rows
    space.delete("pod", "reader")


@pytest.mark.parametrize(
    ("spec", "reason", "sentence"),
    [
        pytest.param({"target": {"lsn": "FF/0"}}, "TargetNotReachable", "is not written yet", id="a later position"),
        pytest.param({}, "TablespaceElsewhere", "tablespace elsewhere is in /tmp/elsewhere", id="another volume"),
    ],
)
def test_what_only_postgresql_knows_is_refused_before_anything_is_made(
    postgres: Postgres, space: Kubectl, spec: dict, reason: str, sentence: str
):
    """The last of all: WAL that makes a tablespace elsewhere cannot be replayed on one volume."""
    if reason == "TablespaceElsewhere":
        space.run("exec", postgres.pod, "-c", "postgres", "--", "install", "-d", "-o", "postgres", "/tmp/elsewhere")
        postgres.sql("CREATE TABLESPACE elsewhere LOCATION '/tmp/elsewhere'")
    pod = space.get("pod", postgres.pod)["metadata"]["uid"]
    space.apply(restore(reason.lower(), **spec))
    done = space.until("pgr", reason.lower(), phase("Completed", "Failed"), "ends", 120)
    assert (done["status"]["phase"], done["status"]["step"], done["status"]["reason"]) == ("Failed", "Fenced", reason)
    assert sentence in done["status"]["message"]
    assert space.get("pod", postgres.pod)["metadata"]["uid"] == pod
    assert space.get("pvc", f"{reason.lower()}-restored") is None
    postgres.sql("DROP TABLESPACE IF EXISTS elsewhere")


def succeeded(space: Kubectl, name: str, seconds: float) -> dict:
    done = space.until("pgr", name, phase("Completed", "Failed"), "ends", seconds)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    return done


def digest(postgres: Postgres) -> str:
    """A million rows, each of them in it, in order."""
    columns = "aid || '|' || bid || '|' || abalance || '|' || filler"
    return postgres.sql(f"SELECT count(*), md5(string_agg({columns}, E'\\n' ORDER BY aid)) FROM pgbench_accounts")


def volume_of(space: Kubectl) -> str:
    return space.get("pvc", "data-postgres-0")["spec"]["volumeName"]


def at_step(*steps: str):
    return lambda one: one["status"].get("step") in steps if one.get("status") else False


def job_pods(space: Kubectl, name: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in space.list("pods", f"pgwarden.io/restore={name}")]


def filling(space: Kubectl, name: str) -> str:
    """The Restore's pod, at the moment at which pgBackRest in it begins to write files."""

    def running() -> str:
        pods = space.list("pods", f"pgwarden.io/restore={name}")
        return next((pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"), "")

    pod = until(running, f"the pod of Restore {name} runs", 90, pause=0.1)
    assert any("restore backup set" in line for line in space.lines("logs", "--follow", pod, "-c", "pgbackrest"))
    return pod
