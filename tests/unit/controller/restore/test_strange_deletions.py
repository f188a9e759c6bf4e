"""What a Restore works with is deleted by somebody else, before each of the controller's writes."""

from __future__ import annotations

import pytest

MOMENT = {"time": "2026-11-23T11:30:00Z"}
#: A whole Restore has fewer than 45.
WRITES = range(1, 46, 3)


def strike(cluster, key, number):
    """Delete object *key* once, before write *number* or the first one after it at which it is there."""
    struck = []

    def before(write):
        if write >= number and not struck and key in cluster.objects:
            struck.append((cluster.restore().get("status") or {}).get("step"))
            cluster.objects[key]["metadata"].setdefault("deletionTimestamp", "2026-11-23T12:00:00Z")

    cluster.before_write = before
    return struck


@pytest.mark.parametrize("key", [("persistentvolumeclaims", "ns", "back-restored"), ("jobs", "ns", "back-restore-1")],
                         ids=["claim", "Job"])  # fmt: skip
@pytest.mark.parametrize("target", [None, MOMENT], ids=["latest", "a moment"])
@pytest.mark.parametrize("number", WRITES)
async def test_it_ends_and_nothing_is_lost(run, cluster, key, target, number):
    struck = strike(cluster, key, number)
    run.create(**({"target": target} if target else {}))
    pod = cluster.objects["pods", "ns", "pg-0"]["metadata"]["uid"]
    status = await run.until_over(rounds=400)
    assert "old" not in cluster.lost
    assert (status.get("phase"), cluster.serves()) in {("Completed", "restored"), ("Failed", "old")}, (struck, status)
    assert cluster.objects["statefulsets", "ns", "pg"]["spec"]["replicas"] == 1
    if status["phase"] == "Failed":
        assert not cluster.of("jobs")
        assert ("persistentvolumeclaims", "ns", "back-restored") not in cluster.objects
        if "stoppedTime" not in status:
            assert cluster.objects["pods", "ns", "pg-0"]["metadata"]["uid"] == pod
