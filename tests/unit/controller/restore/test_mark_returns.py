"""The sealed mark of a Restore that is over comes back on its workload, as by `kubectl rollout undo`."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from controller.cluster.gather import _is_stopped
from controller.seal import Seal
from pgwarden.api import names
from pgwarden.contract.status import Postgres, Status


async def mark_of(run, cluster, name="first") -> dict[str, str]:
    """*name* runs to its end; what its workload bore meanwhile."""
    seen: dict[str, str] = {}

    def look(_number: int) -> None:
        noted = cluster.objects["statefulsets", "ns", "pg"]["metadata"].get("annotations") or {}
        if names.ANNOTATION_STOPPED_BY_SEAL in noted:
            seen.update(noted)

    cluster.before_write = look
    run.create(name, recoveryTimeoutSeconds=60)
    await run.until_over(name)
    cluster.before_write = lambda number: None
    assert seen
    return seen


def comes_back(run, cluster, mark) -> None:
    cluster.objects["statefulsets", "ns", "pg"]["metadata"]["annotations"] = dict(mark)

    async def unreachable(*_: Any, **__: Any) -> Status:
        return Status(postgres=Postgres(error="starting up"))

    run.agents.pod = unreachable
    run.restart()


async def goes_on(run, cluster, name: str) -> None:
    for _ in range(30):
        again = await run.controller.reconcile(("ns", name))
        if again is None:
            break
        cluster.now += timedelta(seconds=max(again, 0.1))


@pytest.mark.parametrize("recovers", [True, False], ids=["it recovered", "it was undone"])
@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "there"])
@pytest.mark.parametrize("gone", ["no volume", "the volume that it left"])
@pytest.mark.parametrize("next_one", [True, False], ids=["at the next Restore", "at the controller's start"])
async def test_nothing_is_undone_again(cluster, run, recovers, deleted, gone, next_one):
    run.agents.recovers = recovers
    mark = await mark_of(run, cluster)
    serves = "restored" if recovers else "old"
    assert cluster.serves() == serves
    if gone != "no volume":
        left = "data-pg-0-before-first" if recovers else "data-pg-0-failed-first"
        claim = cluster.objects.pop(("persistentvolumeclaims", "ns", left))
        del cluster.objects["persistentvolumes", "", claim["spec"]["volumeName"]]
    comes_back(run, cluster, mark)
    if deleted:
        del cluster.objects["restores", "ns", "first"]
    if next_one:
        cluster.job_end = "Failed"  # the next one ends before it touches anything
        run.create("second")
    before = cluster.objects["statefulsets", "ns", "pg"]["spec"]["replicas"]
    for _, name in [*await run.controller.orphans(), ("ns", "second" if next_one else "first")]:
        await goes_on(run, cluster, name)
    workload = cluster.objects["statefulsets", "ns", "pg"]
    assert (cluster.serves(), workload["spec"]["replicas"]) == (serves, before)
    assert not deleted or not workload["metadata"].get("annotations")


@pytest.mark.parametrize("recovers", [True, False], ids=["it recovers", "it does not"])
async def test_killed_at_any_write_of_the_undoing_postgres_runs_in_the_end(cluster, run, recovers):
    run.agents.recovers = False
    run.create()
    await run.until_over(rounds=60)
    del cluster.objects["restores", "ns", "back"]
    run.agents.recovers = recovers
    for _ in range(60):
        cluster.kill_at = cluster.writes + 1
        await run.until_over(rounds=1)
    workload = cluster.objects["statefulsets", "ns", "pg"]
    assert (cluster.serves(), workload["spec"]["replicas"]) == ("restored" if recovers else "old", 1)
    assert not workload["metadata"].get("annotations")


@pytest.mark.parametrize(
    ("status", "held"),
    [
        ({"phase": "Running"}, True),
        ({"phase": "Running", "conditions": [{"type": "Started", "status": "True"}]}, False),
        ({"phase": "Completed"}, False),
        ({"phase": "Failed"}, False),
        (None, True),
    ],
    ids=["at work", "started", "completed", "failed", "gone"],
)
async def test_the_mark_of_one_that_is_over_holds_no_cluster_up(cluster, run, status, held):
    seal, text = Seal(b"k" * 32), (await mark_of(run, cluster))[names.ANNOTATION_STOPPED_BY]
    text = text.replace('"StatefulSet"', '"Deployment"')
    uid = cluster.objects["restores", "ns", "first"]["metadata"]["uid"]
    noted = {
        names.ANNOTATION_STOPPED_BY: text,
        names.ANNOTATION_STOPPED_BY_SEAL: seal.of("ns", "Deployment", "pg", "u", text),
    }
    deployment = {"metadata": {"namespace": "ns", "name": "pg", "uid": "u", "annotations": noted}}
    restore = None if status is None else {"metadata": {"uid": uid}, "status": status}
    restores = SimpleNamespace(get=lambda *_: restore)
    context: Any = SimpleNamespace(seal=seal, caches=SimpleNamespace(restores=restores))
    assert _is_stopped(context, deployment) is held
