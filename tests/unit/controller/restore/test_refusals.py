"""A quota or a policy in the way of a Restore: its status has Kubernetes' words until it is gone."""

from __future__ import annotations

import pytest

from controller.restore.refusals import REASON
from pgwarden.kube import errors

QUOTA = 'persistentvolumeclaims "back-restored" is forbidden: exceeded quota: q, used: persistentvolumeclaims=2'


@pytest.mark.parametrize("plural", ["persistentvolumeclaims", "jobs"])
async def test_what_kubernetes_refuses_is_told_until_it_does_not(cluster, run, monkeypatch, plural):
    create, full = cluster.create, [True]

    async def refusing(path, body):
        if full and path.endswith(f"/{plural}"):
            raise errors.Invalid(403, "Forbidden", QUOTA)
        return await create(path, body)

    monkeypatch.setattr(cluster, "create", refusing)
    run.create()
    for _ in range(3):
        with pytest.raises(errors.ApiError):
            await run.until_over()
    found = cluster.objects["restores", "ns", "back"]["status"]
    assert (found["phase"], found["reason"]) == ("Running", REASON)
    assert found["message"].count("Kubernetes refuses it") == 1
    assert QUOTA in found["message"]
    told = [one for one in found["conditions"] if one["type"] == found["step"]]
    assert [(one["reason"], one["message"]) for one in told] == [(REASON, found["message"])]
    full.clear()
    found = await run.until_over()
    assert found["phase"] == "Completed"
    assert REASON not in str(found["conditions"])


async def test_a_long_refusal_leaves_a_status_that_can_be_written(cluster, run, monkeypatch):
    async def refusing(path, body):
        raise errors.Invalid(403, "Forbidden", "no " * 300_000)

    monkeypatch.setattr(cluster, "create", refusing)
    run.create()
    for _ in range(2):
        with pytest.raises(errors.ApiError):
            await run.until_over()
    message = cluster.objects["restores", "ns", "back"]["status"]["message"]
    assert "Kubernetes refuses it" in message
    assert len(message) < 2000
