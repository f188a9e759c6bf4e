"""A PostgresCluster restored in place, in the seed's order, to a moment; and clusters whose volume is a Deployment's."""

from __future__ import annotations

import pytest

from harness import failover, foretold
from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, condition, phase
from harness.waiting import until

FINGERPRINT = "SELECT count(*), md5(string_agg(id || name, ',' ORDER BY id)) FROM accounts"
ORDER = ["Fenced", "Restored", "Replayed", "Stopped", "Recovered", "Swapped", "Started", "BackedUp"]


@pytest.fixture(scope="module")
def hippo(installed, space: Kubectl) -> Cluster:
    return Cluster.made(space, manifest())


def restore(title: str, **target: str) -> dict:
    spec = {"repository": "hippo"} | ({"target": target} if target else {})
    return {"apiVersion": "pgwarden.io/v1alpha1", "kind": "Restore", "metadata": {"name": title}, "spec": spec}


def ended(space: Kubectl, name: str) -> dict:
    done = space.until("pgr", name, phase("Completed", "Failed"), "ends", 400)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    return done


def test_a_restore_to_a_moment_in_the_seeds_order(hippo: Cluster, space: Kubectl):
    # A tablespace on the instances' own volume, made after the backup: recovery has to find its folder.
    for instance in ("hippo-1", "hippo-2"):
        space.run("exec", f"deployment/{instance}", "-c", "postgres", "--", "mkdir", "/pgdata/fast")
    hippo.sql("CREATE TABLESPACE fast LOCATION '/pgdata/fast'")
    hippo.sql(
        "CREATE TABLE accounts TABLESPACE fast AS SELECT i AS id, md5(i::text) AS name FROM generate_series(1, 20000) AS i"
    )
    rows, moment = hippo.sql(FINGERPRINT), hippo.sql("SELECT clock_timestamp()")
    hippo.sql("INSERT INTO accounts VALUES (0, 'too late'); DROP TABLE accounts")
    said = foretold.plan(space, restore("rewind", time=moment))
    space.apply(restore("rewind", time=moment))
    done = ended(space, "rewind")
    assert foretold.differences(said, done["status"]) == []
    assert hippo.sql(FINGERPRINT) == rows
    times = [condition(done, step)["lastTransitionTime"] for step in ORDER]
    assert times == sorted(times)
    backup = space.get("pgb", done["status"]["backup"])
    assert backup["status"]["phase"] == "Completed"
    assert space.get("pvc", done["status"]["keptClaim"])["status"]["phase"] == "Bound"


def test_autofail_is_off_and_replicas_are_gone_until_it_is_turned_on(hippo: Cluster, space: Kubectl):
    status = until(lambda: (now := hippo.status()).get("autofail") == "off" and now, "autofail is off", 60)
    assert status["ready"] == "1/2"
    assert condition({"status": status}, "Autofail")["reason"] == "Off"
    assert "once autofail is on" in condition({"status": status}, "Complete")["message"]
    assert space.get("deployment", "hippo-2") is None
    hippo.change(autofail=True)
    status = hippo.wait_ready(300)
    assert (status["autofail"], status["ready"]) == ("on", "2/2")
    log = space.run("logs", "deployment/hippo-2", "-c", "postgres").stdout
    assert "replica has been created using pgbackrest" in log
    assert hippo.sql(FINGERPRINT, "hippo-2") == hippo.sql(FINGERPRINT, "hippo-1")


def test_a_restore_to_the_latest_state_after_a_failover_has_each_row_without_a_new_backup(
    hippo: Cluster, space: Kubectl
):
    """What the dead primary had not archived, the new one archives: also what was being pushed as it was killed."""
    failover.fail_over(hippo, failover.delete_pod, to_another=False)  # its next pod may be the quicker one
    hippo.sql("INSERT INTO accounts VALUES (-1, 'after the failover')")
    rows, primary = hippo.sql(FINGERPRINT), hippo.primary()
    failover.restore_latest(hippo, "latest")
    status = hippo.status()
    assert (status["primary"], status["ready"], status["autofail"]) == (primary, "2/2", "on")
    assert hippo.sql(FINGERPRINT) == rows


def test_an_undo_brings_back_the_state_before_a_restore(hippo: Cluster, space: Kubectl):
    rows, moment = hippo.sql(FINGERPRINT), hippo.sql("SELECT clock_timestamp()")
    hippo.sql("INSERT INTO accounts VALUES (-2, 'after all wanted')")
    wanted = hippo.sql(FINGERPRINT)
    space.apply(restore("wrong", time=moment))
    ended(space, "wrong")
    assert hippo.sql(FINGERPRINT) == rows
    asked = restore("right")
    asked["spec"]["undo"] = "wrong"
    said = foretold.plan(space, asked)
    space.apply(asked)
    done = ended(space, "right")
    assert hippo.sql(FINGERPRINT) == wanted
    assert foretold.differences(said, done["status"]) == []
    claim = space.get("pvc", done["status"]["claim"])
    assert claim["metadata"]["ownerReferences"][0]["name"] == "hippo"
    # Replicas follow it, though the archive has the timeline of the restore that was undone.
    hippo.change(autofail=True)
    status = hippo.wait_ready(300)
    assert (status["ready"], status["autofail"]) == ("2/2", "on")
    replica = next(one["name"] for one in status["instances"] if one["role"] == "replica")
    until(lambda: hippo.sql(FINGERPRINT, replica) == wanted, f"{replica} has the same rows", 60)


def test_a_target_that_is_never_reached_leaves_everything_as_it_was(hippo: Cluster, space: Kubectl):
    rows, primary = hippo.sql(FINGERPRINT), hippo.primary()
    space.apply(restore("nowhere", name="no-such-restore-point"))
    done = space.until("pgr", "nowhere", phase("Completed", "Failed"), "ends", 400)
    assert done["status"]["phase"] == "Failed"
    until(lambda: hippo.primary() == primary, f"{primary} is the primary again", 120)
    assert hippo.sql(FINGERPRINT) == rows
