"""Whole restores on the fake cluster: what is done, and not waited for, while PostgreSQL is down."""

from __future__ import annotations

import pytest

from tests.unit.controller.restore.test_whole import STEPS, conditions


async def test_while_postgresql_is_down_a_step_is_followed_at_once_by_the_next(run, cluster):
    """Of Stopped, Recovered and the beginning of Swapped the status is written once."""
    run.create(target={"time": "2026-11-23T11:30:00Z"})
    status = await run.until_over()
    assert conditions(status) == dict.fromkeys(STEPS, "True")
    made = cluster.log.index("POST persistentvolumeclaims/data-pg-0")
    before = cluster.log[:made]
    promised = max(number for number, one in enumerate(before) if one.startswith("PATCH persistentvolumes/"))
    assert before[promised + 1 :] == ["PATCH restores/back/status"]


@pytest.mark.parametrize("allowed", [True, False], ids=["with the right", "without the right to delete pods"])
async def test_a_pod_that_has_ended_is_taken_away(run, cluster, allowed):
    cluster.lingers, cluster.may_delete_pods = True, allowed
    run.create()
    assert (await run.until_over())["phase"] == "Completed"
    assert cluster.log.count("DELETE pods/pg-0") == (1 if allowed else 3)
    assert cluster.serves() == "restored"
