"""What comes before PostgreSQL is stopped, and what costs it nothing."""

from __future__ import annotations

import pytest


async def test_postgres_is_not_stopped_while_its_last_wal_could_not_be_read(run, cluster):
    run.create()
    while (cluster.restore().get("status") or {}).get("step") != "Stopped":
        cluster.kill_at = cluster.writes + 1
        await run.until_over(rounds=1)
    cluster.kill_at, run.agents.host_up = 0, False
    await run.until_over(rounds=30)
    assert cluster.condition("Stopped")["reason"] == "RepositoryNotReachable"
    assert cluster.objects["statefulsets", "ns", "pg"]["spec"]["replicas"] == 1
    run.agents.host_up = True
    assert (await run.until_over())["phase"] == "Completed"


async def test_a_recovery_to_a_moment_is_over_before_postgres_stops(run, cluster):
    run.create(target={"time": "2026-11-23T11:30:00Z"})
    while not (cluster.restore().get("status") or {}).get("timeline"):
        cluster.kill_at = cluster.writes + 1
        await run.until_over(rounds=1)
        assert cluster.objects["statefulsets", "ns", "pg"]["spec"]["replicas"] == 1
    cluster.kill_at, run.agents.host_up = 0, False  # and nothing needs the repository any more
    status = await run.until_over()
    assert (status["phase"], status["recoveredTo"], cluster.serves()) == (
        "Completed", "2026-11-23T11:59:00.5Z", "restored",
    )  # fmt: skip
    assert "recovery-finish" not in run.agents.calls


@pytest.mark.parametrize("target", [None, {"time": "2026-11-23T11:30:00Z"}], ids=["latest", "a moment"])
async def test_a_recovery_that_fails_has_cost_postgres_nothing(run, cluster, target):
    cluster.job_end = "Failed"
    cluster.job_message = {
        "ok": False,
        "reason": "MissingSegment",
        "error": "segment 000000010000000000000006 is missing",
    }
    pod = cluster.objects["pods", "ns", "pg-0"]["metadata"]["uid"]
    run.create(**({"target": target} if target else {}))
    status = await run.until_over()
    assert (status["phase"], status["reason"]) == ("Failed", "MissingSegment")
    assert "segment 000000010000000000000006 is missing" in status["message"]
    assert (cluster.objects["pods", "ns", "pg-0"]["metadata"]["uid"], cluster.serves()) == (pod, "old")
    assert "checkpoint" not in run.agents.calls
