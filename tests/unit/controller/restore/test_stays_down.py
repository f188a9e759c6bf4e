"""What is lost or spoilt while PostgreSQL is down, and must not keep it down."""

from __future__ import annotations

import copy
from datetime import timedelta

import pytest

from controller.recovery.plan import Volume
from controller.restore import volume_swap
from pgwarden.api import names

WORKLOAD = ("statefulsets", "ns", "pg")


async def until(run, cluster, reached) -> None:
    for _ in range(200):
        if reached():
            break
        cluster.kill_at = cluster.writes + 1
        await run.until_over(rounds=1)
    cluster.kill_at = 0
    assert reached()


def is_down(cluster) -> bool:
    return not cluster.objects[WORKLOAD]["spec"]["replicas"]


@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "there"])
@pytest.mark.parametrize(
    ("when", "lost", "serves"),
    [
        ("stopped", "new", "old"),
        ("swapped", "new", "old"),
        ("swapped", "old", "restored"),
    ],
)
async def test_postgres_comes_back_on_the_volume_that_is_left(cluster, run, deleted, when, lost, serves):
    run.agents.recovers = False
    run.create(recoveryTimeoutSeconds=60)
    if when == "stopped":
        await until(run, cluster, lambda: is_down(cluster))
    else:
        await until(run, cluster, lambda: cluster.serves() == "restored" and not is_down(cluster))
    name = next(n for p, _, n in cluster.objects if p == "persistentvolumes" and (n == "pv-old") == (lost == "old"))
    del cluster.objects["persistentvolumes", "", name]
    if deleted:
        del cluster.objects["restores", "ns", "back"]
    began = cluster.writes
    stops: list[int] = []
    cluster.before_write = lambda number: stops.append(number) if is_down(cluster) and number > began else None
    status = await run.until_over()
    assert (cluster.serves(), is_down(cluster)) == (serves, False)
    assert deleted or (
        status["phase"] == "Failed" and (when == "stopped" or f"{name} was deleted" in status["message"])
    )
    assert lost == "new" or not stops, "the restored volume is where it is: nothing needs to stop"


async def test_with_neither_volume_nothing_stops_and_the_status_says_what_to_do(cluster, run):
    run.agents.recovers = False
    run.create(recoveryTimeoutSeconds=60)
    await until(run, cluster, lambda: cluster.serves() == "restored" and not is_down(cluster))
    for key in [key for key in cluster.objects if key[0] == "persistentvolumes"]:
        del cluster.objects[key]
    status = await run.until_over()
    assert not is_down(cluster)
    assert "spec.volumeClaim" in status["message"]


@pytest.mark.parametrize("data", [{}, {"key": "!!!"}], ids=["no key", "a key that is none"])
async def test_a_spoilt_seal_keeps_no_honest_restore_down(cluster, run, data):
    run.create()
    await until(run, cluster, lambda: is_down(cluster))
    cluster.objects["secrets", "sys", "l-seal"]["data"] = data
    run.restart()
    status = await run.until_over()
    assert (status["phase"], cluster.serves(), is_down(cluster)) == ("Completed", "restored", False)
    assert [text for kind, _, text in cluster.told if kind == "Restore" and "has no key of 32 bytes" in text]


@pytest.mark.parametrize("noted", ["yesterday", "9999-99-99T00:00:00Z", ""])
def test_the_binder_is_reminded_of_a_claim_whatever_its_users_write_there(cluster, noted):
    claim = copy.deepcopy(cluster.objects["persistentvolumeclaims", "ns", "data-pg-0"])
    claim["metadata"]["annotations"] = {names.ANNOTATION_NUDGED: noted}
    claim["status"] = {"phase": "Pending"}
    volume = cluster.objects["persistentvolumes", "", "pv-old"] | {"status": {"phase": "Available"}}
    volume["spec"]["persistentVolumeReclaimPolicy"] = "Retain"
    goal = volume_swap.Goal("ns", {"data-pg-0": (claim, Volume(name="pv-old", reclaim="Delete"))}, frozenset())
    later = cluster.now + timedelta(seconds=5)
    change = volume_swap.next_change(goal, {"data-pg-0": claim}, {"pv-old": volume}, later)
    assert change is not None
    assert change.message == "triggering the binding of claim data-pg-0"


async def test_a_claim_whose_volume_is_lost_gets_the_restored_one(cluster, run):
    """The PersistentVolume went with its disk: there is nothing to replace, and nothing to wait for."""
    del cluster.objects["persistentvolumes", "", "pv-old"]
    cluster.objects["persistentvolumeclaims", "ns", "data-pg-0"]["status"]["phase"] = "Lost"
    run.create()
    status = await run.until_over()
    assert (status["phase"], cluster.serves(), is_down(cluster)) == ("Completed", "restored", False), status
    swapped = next(one for one in status["conditions"] if one["type"] == "Swapped")
    assert "PersistentVolume pv-old, the old one, was deleted" in swapped["message"]
    assert status.get("keptClaim") is None


async def test_a_failed_restore_of_a_lost_volume_leaves_the_claim_as_it_was(cluster, run):
    del cluster.objects["persistentvolumes", "", "pv-old"]
    claim = cluster.objects["persistentvolumeclaims", "ns", "data-pg-0"]
    claim["status"]["phase"] = "Lost"
    cluster.job_end, cluster.job_message = "Failed", {"ok": False, "exitCode": 75, "error": "ERROR: [075]: no set"}
    run.create()
    assert (await run.until_over())["phase"] == "Failed"
    assert cluster.objects["persistentvolumeclaims", "ns", "data-pg-0"]["spec"]["volumeName"] == "pv-old"
    assert not is_down(cluster)


async def test_what_scales_it_up_meanwhile_is_told_and_does_no_harm(cluster, run):
    run.create()
    await until(run, cluster, lambda: is_down(cluster) and "stoppedTime" in cluster.restore()["status"])
    cluster.objects[WORKLOAD]["spec"]["replicas"] = 1  # as a GitOps tool does
    await until(run, cluster, lambda: cluster.restore()["status"]["reason"] == "ScaledUp")
    assert "has scaled StatefulSet pg up while this Restore keeps it at 0" in cluster.restore()["status"]["message"]
    status = await run.until_over()
    assert (status["phase"], cluster.serves(), is_down(cluster)) == ("Completed", "restored", False)
