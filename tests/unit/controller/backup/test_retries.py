"""How many pods of a Backup's Job were tried after the first, in its status: what pgwarden_job_retries_total counts."""

from __future__ import annotations

import pytest

from tests.unit.controller.backup.test_following import MADE, Agents, Look
from tests.unit.controller.beside import job, pod


@pytest.mark.parametrize(
    ("the_job", "retries"),
    [
        pytest.param(job(), None, id="the first is at it"),
        pytest.param(job(failed=1), 1, id="the second is at it"),
        pytest.param(job(failed=2, ended="Complete"), 2, id="the third was good"),
        pytest.param(job(failed=3, ended="Failed"), 2, id="the third was the last"),
        pytest.param(job(failed=1, ended="Failed", why="DeadlineExceeded"), None, id="the first was the last"),
    ],
)
async def test_how_often_another_pod_was_tried_is_in_its_status(the_job, retries):
    look = Look(the_job, pod(0, {"ok": True}, proxy=""), agents=Agents(MADE), message="")
    assert (await look.at()).get("retries") == retries


async def test_the_retries_of_a_job_that_was_taken_back_are_none_of_the_next_one():
    waits = {"phase": "Pending", "reason": "JobStuck", "message": "m", "job": None, "retries": 1}
    look = Look(None, agents=Agents(), **waits)
    status = await look.at()
    assert (status["reason"], status.get("retries")) == ("JobStarting", None)
