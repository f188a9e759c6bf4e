"""Whole restores on the fake cluster, and the controller killed at each of its writes."""

from __future__ import annotations

import copy
from datetime import timedelta

import pytest

from pgwarden.api import names

STEPS = [
    "Validated", "Fenced", "VolumeReady", "Restored", "Replayed", "Stopped", "Recovered", "Swapped", "Started", "BackedUp",
]  # fmt: skip


def conditions(status):
    return {one["type"]: one["status"] for one in status["conditions"]}


async def test_latest_swaps_the_volumes_and_keeps_the_old_one(run, cluster):
    run.create()
    status = await run.until_over()
    assert status["phase"] == "Completed", status
    assert conditions(status) == dict.fromkeys(STEPS, "True")
    assert (
        status["message"] == "recovered to 2026-11-23T11:59:00.5Z; the old data is kept as claim data-pg-0-before-back"
    )
    assert (status["claim"], status["newClaim"], status["keptClaim"]) == (
        "data-pg-0",
        "back-restored",
        "data-pg-0-before-back",
    )
    assert (status["oldVolume"], status["set"], status["timeline"]) == ("pv-old", "20261123-110000F", 2)
    assert (status["backup"], status["job"]) == ("back-after", "back-restore-1")
    assert "step" not in status
    assert cluster.serves() == "restored"
    assert cluster.serves("data-pg-0-before-back") == "old"
    others = [call for call in run.agents.calls if call != "status"]
    assert others == ["fence", "checkpoint", "recovery-finish"]
    assert cluster.objects["persistentvolumes", "", status["newVolume"]]["metadata"]["annotations"] == {
        names.ANNOTATION_SETTLED_BY: cluster.restore()["metadata"]["uid"]
    }


async def test_the_claims_are_as_before_but_for_the_volume(run, cluster):
    claims = cluster.objects
    before = copy.deepcopy(claims["persistentvolumeclaims", "ns", "data-pg-0"])
    run.create()
    status = await run.until_over()
    after = claims["persistentvolumeclaims", "ns", "data-pg-0"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    marks = (names.ANNOTATION_RESTORE_UID, names.ANNOTATION_RESTORE_ORDER, names.LABEL_RESTORE)
    assert {k: v for k, v in after["metadata"]["annotations"].items() if k not in marks} == {"note": "mine"}
    assert after["spec"] == before["spec"] | {"volumeName": status["newVolume"]}
    kept = claims["persistentvolumeclaims", "ns", "data-pg-0-before-back"]["metadata"]
    assert kept["labels"] == {
        names.MANAGED_BY: "pgwarden", names.LABEL_OWNER_REPOSITORY: "hippo", names.LABEL_KEPT_BY: "back",
    }  # fmt: skip
    assert "To undo the restore" in kept["annotations"]["kubernetes.io/description"]
    assert {v["spec"]["persistentVolumeReclaimPolicy"] for v in cluster.of("persistentvolumes")} == {"Delete"}
    assert cluster.lost == []
    workload = claims["statefulsets", "ns", "pg"]
    assert workload["spec"]["replicas"] == 1
    assert workload["metadata"].get("annotations", {}) == {}


async def test_nothing_is_stopped_before_the_job_has_succeeded(run, cluster):
    cluster.job_end = ""
    run.create()
    await run.until_over(rounds=30)
    assert cluster.restore()["status"]["phase"] == "Running"
    assert cluster.restore()["status"]["step"] == "Restored"
    assert not any("statefulsets" in line or "persistentvolumes/" in line for line in cluster.log)


async def test_a_failed_job_touches_nothing_and_a_second_restore_works(run, cluster):
    cluster.job_end = "Failed"
    cluster.job_message = {"ok": False, "exitCode": 75, "error": "ERROR: [075]: unable to find backup set"}
    run.create()
    status = await run.until_over()
    assert (status["phase"], status["step"], status["reason"]) == ("Failed", "Restored", "RestoreFailed")
    assert status["message"] == (
        "ERROR: [075]: unable to find backup set (BackoffLimitExceeded: limit reached). The old data was not changed"
    )
    assert cluster.serves() == "old"
    assert cluster.of("jobs") == []
    assert [c["metadata"]["name"] for c in cluster.of("persistentvolumeclaims")] == ["data-pg-0"]
    cluster.job_end, cluster.job_message = "Complete", {"ok": True, "set": "x", "timeline": 2}
    run.create("again")
    assert (await run.until_over("again"))["phase"] == "Completed"
    assert cluster.serves() == "restored"


async def test_failed_recovery_serves_the_old_data_again_and_a_second_restore_works(run, cluster):
    run.agents.recovers = False
    run.create(recoveryTimeoutSeconds=60)
    status = await run.until_over()
    assert (status["phase"], status["step"], status["reason"]) == ("Failed", "Started", "StartTimeout")
    assert conditions(status)["RolledBack"] == "True"
    assert cluster.serves() == "old"
    assert cluster.serves("data-pg-0-failed-back") == "restored"
    assert cluster.serves("data-pg-0-before-back") == "no claim"
    assert cluster.lost == []
    assert cluster.objects["statefulsets", "ns", "pg"]["spec"]["replicas"] == 1
    assert ("pods", "ns", "pg-0") in cluster.objects
    run.agents.recovers = True
    cluster.restored_data = "restored again"
    run.create("again")
    assert (await run.until_over("again"))["phase"] == "Completed"
    assert (cluster.serves(), cluster.serves("data-pg-0-before-again")) == ("restored again", "old")


async def test_a_postgres_that_crashes_is_rolled_back_with_its_words(run, cluster):
    ended = {"exitCode": 1, "message": "FATAL:  recovery ended before configured recovery target was reached\n"}

    def crash(pod):
        if cluster.serves() == "restored":
            pod["status"]["containerStatuses"] = [
                {"name": "postgres", "restartCount": 1, "lastState": {"terminated": ended}}
            ]

    cluster.pod_template = crash
    run.agents.recovers = False
    run.create()
    status = await run.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", "StartFailed")
    assert "recovery ended before configured recovery target was reached" in status["message"]
    assert cluster.serves() == "old"


async def test_a_failed_backup_afterwards_does_not_fail_the_restore(run, cluster):
    cluster.backup_end = "Failed"
    run.create(keepOldVolume=False)
    status = await run.until_over()
    assert status["phase"] == "Completed"
    assert conditions(status)["BackedUp"] == "False"
    assert "Backup back-after failed: no space left" in status["message"]
    assert cluster.serves("data-pg-0-before-back") == "old"  # the only way back


async def test_the_old_volume_goes_only_after_the_backup(run, cluster):
    run.create(keepOldVolume=False)
    status = await run.until_over()
    assert status["phase"] == "Completed"
    assert "keptClaim" not in status
    assert cluster.lost == ["old"]
    assert cluster.log.index("POST backups/back-after") < cluster.log.index(
        "DELETE persistentvolumeclaims/data-pg-0-before-back"
    )


async def test_into_a_claim_of_its_own_touches_nothing_else(run, cluster):
    run.create(volumeClaim="look-here")
    status = await run.until_over()
    assert status["phase"] == "Completed"
    assert status["message"] == "restored into claim look-here, recovered to 2026-11-23T11:59:00.5Z"
    assert (cluster.serves("look-here"), cluster.serves()) == ("restored", "old")
    written = {line for line in cluster.log if "restores/" not in line}
    assert written == {"POST persistentvolumeclaims/look-here", "POST jobs/back-restore-1"}
    untouched = ("Stopped", "Swapped", "Started", "BackedUp")
    assert {c["reason"] for c in status["conditions"] if c["type"] in untouched} == {"NotNeeded"}


async def test_a_claim_that_is_there_already_is_not_written_into(run, cluster):
    run.create(volumeClaim="data-pg-0")
    status = await run.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", "ClaimExists")
    assert cluster.serves() == "old"


async def test_a_claim_that_an_earlier_restore_of_the_name_has_filled_stays(run, cluster):
    run.create(volumeClaim="back-restored")
    assert (await run.until_over())["phase"] == "Completed"
    del cluster.objects["restores", "ns", "back"]
    await run.until_over()
    cluster.settle()
    assert cluster.serves("back-restored") == "restored"
    cluster.now += timedelta(seconds=5)
    run.create(volumeClaim="back-restored")
    assert (await run.until_over())["reason"] == "ClaimExists"
    assert cluster.serves("back-restored") == "restored"


async def test_a_restore_deleted_while_its_job_runs_leaves_nothing(run, cluster):
    cluster.job_end = ""
    run.create()
    await run.until_over(rounds=5)
    assert ("persistentvolumeclaims", "ns", "back-restored") in cluster.objects
    for key in [k for k in cluster.objects if k[0] in {"restores", "jobs"} or k[2].startswith("back-restore-1")]:
        del cluster.objects[key]  # the garbage collector takes what it owned
    await run.until_over()
    assert ("persistentvolumeclaims", "ns", "back-restored") not in cluster.objects
    assert cluster.serves() == "old"


@pytest.mark.parametrize("before", [False, True], ids=["after the write", "before the write"])
@pytest.mark.parametrize("recovers", [True, False], ids=["recovers", "rolled back"])
async def test_killed_at_each_write_it_ends_the_same(cluster, run, before, recovers):
    """The controller's process ends at its n-th write, for every n; a new one goes on from what it finds."""
    pristine = {
        k: copy.deepcopy(v) for k, v in vars(cluster).items() if k not in {"pod_template", "_access", "_session"}
    }
    n, run.speed = 0, 20
    while True:
        n += 1
        vars(cluster).update(copy.deepcopy(pristine))
        cluster.kill_at, cluster.kill_before = n, before
        run.restart()
        run.agents.recovers = recovers
        run.create(recoveryTimeoutSeconds=60)
        status = await run.until_over()
        where = f"killed at write {n}: {cluster.log[: n + 3]}"
        assert cluster.lost == [], where
        assert ("pods", "ns", "pg-0") in cluster.objects, where
        if recovers:
            assert status["phase"] == "Completed", where
            assert (cluster.serves(), cluster.serves("data-pg-0-before-back")) == ("restored", "old"), where
        else:
            assert status["phase"] == "Failed", where
            assert (cluster.serves(), cluster.serves("data-pg-0-failed-back")) == ("old", "restored"), where
        assert {v["spec"]["persistentVolumeReclaimPolicy"] for v in cluster.of("persistentvolumes")} == {"Delete"}, (
            where
        )
        if n > cluster.writes:
            break
    assert n > 30


async def test_deleted_at_each_write_the_workload_runs_again(cluster, run):
    """The Restore is deleted right after the n-th write, and the controller hears of it; its old data are never lost."""
    pristine = {
        k: copy.deepcopy(v) for k, v in vars(cluster).items() if k not in {"pod_template", "_access", "_session"}
    }
    for n in range(1, 60):
        vars(cluster).update(copy.deepcopy(pristine))
        cluster.kill_at = n
        run.restart()
        run.create()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run, "restart", lambda: cluster.objects.pop(("restores", "ns", "back"), None))
            await run.until_over()
        served, others = (
            cluster.serves(),
            {cluster.data.get(v["metadata"]["name"]) for v in cluster.of("persistentvolumes")},
        )
        assert "old" in {served} | others, n
        assert cluster.objects["statefulsets", "ns", "pg"]["spec"]["replicas"] == 1, n
        assert ("pods", "ns", "pg-0") in cluster.objects, n
        assert served in {"old", "restored"}, n
        assert not cluster.objects["statefulsets", "ns", "pg"]["metadata"].get("annotations"), n
        assert {v["spec"]["persistentVolumeReclaimPolicy"] for v in cluster.of("persistentvolumes")} == {"Delete"}, n


async def test_deleted_before_postgres_has_recovered_it_is_undone(cluster, run):
    run.agents.recovers = False
    run.create()
    await run.until_over(rounds=60)
    assert (cluster.restore()["status"]["step"], cluster.serves()) == ("Started", "restored")
    del cluster.objects["restores", "ns", "back"]
    await run.until_over()
    assert (cluster.serves(), cluster.serves("data-pg-0-failed-back")) == ("old", "restored")
    assert ("pods", "ns", "pg-0") in cluster.objects
    told = [message for kind, name, message in cluster.told if (kind, name) == ("StatefulSet", "pg")]
    assert told[0].startswith("rolling back Restore back, which was deleted before it finished: ")
    assert "claim data-pg-0 has the old volume again" in told[-1]
    assert len(told) == len(set(told))


async def test_deleted_when_postgres_takes_writes_already_it_is_left_there(cluster, run):
    """The new timeline is in the archive by then: whoever went back would not be followed by the next Restore."""
    run.agents.recovers = False
    run.create()
    await run.until_over(rounds=60)
    run.agents.recovers = True
    del cluster.objects["restores", "ns", "back"]
    for volume in cluster.of("persistentvolumes"):  # as far as taking it back had come
        volume["spec"]["persistentVolumeReclaimPolicy"] = "Retain"
        volume["metadata"]["annotations"] = {names.ANNOTATION_RECLAIM: "Delete"}
    await run.until_over()
    assert (cluster.serves(), cluster.serves("data-pg-0-before-back")) == ("restored", "old")
    assert {v["spec"]["persistentVolumeReclaimPolicy"] for v in cluster.of("persistentvolumes")} == {"Delete"}
    assert not cluster.objects["statefulsets", "ns", "pg"]["metadata"].get("annotations")


@pytest.mark.parametrize("recovers", [True, False], ids=["recovers", "rolled back"])
async def test_onto_another_class_and_size_each_volume_keeps_its_own(run, cluster, recovers):
    def asked(name):
        spec = cluster.objects["persistentvolumeclaims", "ns", name]["spec"]
        return spec["storageClassName"], spec["resources"]["requests"]["storage"]

    run.agents.recovers = recovers
    run.create(newVolume={"storageClassName": "fast", "size": "5Gi"}, recoveryTimeoutSeconds=60)
    await run.until_over(rounds=3)
    assert cluster.restore()["status"]["reason"] == "NoStorageClass"
    cluster.add("storageclasses", "", {"metadata": {"name": "fast"}})
    status = await run.until_over()
    assert status["phase"] == ("Completed" if recovers else "Failed"), status
    old, new = ("standard", "1Gi"), ("fast", "5Gi")
    if recovers:
        assert (asked("data-pg-0"), asked("data-pg-0-before-back")) == (new, old)
    else:
        assert (asked("data-pg-0"), asked("data-pg-0-failed-back")) == (old, new)


async def test_done_again_under_its_name_it_loses_nothing_that_the_first_one_kept(cluster, run):
    run.create()
    assert (await run.until_over())["phase"] == "Completed"
    del cluster.objects["restores", "ns", "back"]
    for key in [key for key in cluster.objects if key[0] == "jobs"]:
        del cluster.objects[key]
    cluster.restored_data = "restored again"
    run.create(annotations={names.ANNOTATION_RUN_AGAIN: "2026-11-28"})
    status = await run.until_over()
    assert (status["phase"], status["keptClaim"]) == ("Completed", "data-pg-0-before-back-2")
    assert status["backup"] == "back-after-2"
    kept = (cluster.serves("data-pg-0-before-back"), cluster.serves("data-pg-0-before-back-2"))
    assert (cluster.serves(), kept) == ("restored again", ("old", "restored"))
    assert cluster.lost == []


async def test_applied_again_at_any_write_it_is_done_from_its_beginning_unless_postgresql_has_recovered(cluster, run):
    """Deleted and applied again just before the controller's n-th write, for every n."""
    left_out = {"pod_template", "before_write", "_access", "_session"}
    pristine = {k: copy.deepcopy(v) for k, v in vars(cluster).items() if k not in left_out}
    n, run.speed, total, records = 0, 20, 0, []  # at first none, which says how many writes there are

    def replace(number: int) -> None:
        if number == n:
            del cluster.objects["restores", "ns", "back"]
            cluster.restored_data = "restored again"
            run.create()

    while n <= total:
        vars(cluster).update(copy.deepcopy(pristine))
        cluster.before_write = replace
        run.restart()
        run.create()
        status = await run.until_over()
        where = f"applied again at write {n}: {cluster.log[: n + 3]}"
        record = status["reason"] == "Record"
        serves = "restored" if record or n == 0 else "restored again"
        assert (status["phase"], cluster.serves()) == ("Completed", serves), where
        assert "old" not in cluster.lost, where
        if record:
            assert cluster.serves("data-pg-0-before-back") == "old", where
            assert cluster.log.index("POST persistentvolumeclaims/data-pg-0") < n, where
        records.append(record)
        total, n = total or cluster.writes, n + 1
    assert total > 20
    assert records == sorted(
        records
    )  # up to one moment it is done from its beginning, and from there on it is a record
    assert 2 <= records.count(True) < total / 2


async def test_a_new_restore_first_undoes_what_a_vanished_one_has_left(run, cluster):
    run.create("first")
    while ("persistentvolumeclaims", "ns", "data-pg-0") in cluster.objects or cluster.objects[
        "statefulsets", "ns", "pg"
    ]["spec"]["replicas"]:
        cluster.kill_at = cluster.writes + 1
        await run.until_over("first", rounds=1)
        assert cluster.writes < 60
    del cluster.objects["restores", "ns", "first"]
    assert await run.controller.orphans() == [("ns", "first")]
    cluster.kill_at = 0
    cluster.restored_data = "restored second"
    run.create("second")
    status = await run.until_over("second")
    assert status["phase"] == "Completed", status
    assert (cluster.serves(), cluster.serves("data-pg-0-before-second")) == ("restored second", "old")
    assert await run.controller.orphans() == []


async def test_one_at_a_time(run, cluster):
    running = {
        "kind": "Backup",
        "metadata": {"name": "nightly"},
        "spec": {"repository": "hippo"},
        "status": {"phase": "Running"},
    }
    cluster.add("backups", "ns", running)
    run.create()
    await run.until_over(rounds=3)
    status = cluster.restore()["status"]
    assert (status["phase"], status["reason"]) == ("Pending", "Waiting")
    assert status["message"] == "waiting for Backup nightly of the same Repository to finish"
    cluster.objects["backups", "ns", "nightly"]["status"]["phase"] = "Completed"
    assert (await run.until_over())["phase"] == "Completed"
