"""A replica was away for longer than the archive reaches back: it is told, not counted on, and made anew."""

from __future__ import annotations

import pytest

from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, condition, phase
from harness.objects import backup, repository
from harness.waiting import until

LITTLE_WAL = {"wal_keep_size": "16MB", "min_wal_size": "32MB", "max_wal_size": "64MB"}
ROWS = "SELECT count(*), sum(i) FROM notes"


@pytest.fixture(scope="module")
def hippo(installed, space: Kubectl) -> Cluster:
    kept = repository("hippo", retention={"full": 1})["spec"]
    found = Cluster.made(space, manifest(parameters=LITTLE_WAL, repository=kept), 400)
    found.sql("CREATE TABLE notes (i int)")
    return found


def scale(space: Kubectl, replicas: int) -> None:
    space.run("scale", "deployment/hippo-2", f"--replicas={replicas}")


def test_one_whose_wal_has_expired_is_made_anew(hippo: Cluster, space: Kubectl):
    assert hippo.primary() == "hippo-1"
    before = space.get("pvc", "hippo-2")["metadata"]["uid"]
    scale(space, 0)
    selector = "pgwarden.io/instance=hippo-2"
    until(lambda: not space.list("pod", selector), "hippo-2 has no pod", 120, lambda: str(space.list("pod", selector)))
    for number in range(20):
        hippo.sql(f"INSERT INTO notes VALUES ({number})")
        hippo.sql("SELECT pg_switch_wal()")
    hippo.sql("CHECKPOINT")
    for name in ("newer", "newest"):
        space.apply(backup(name, type="full"))
        space.until("pgb", name, phase("Completed"), "is completed", 180)
    scale(space, 1)

    def told(one) -> bool:
        return (condition(one, "Complete") or {}).get("reason") == "NotFollowing"

    said = space.until("pgc", "hippo", told, "tells that hippo-2 does not follow", 240)
    assert "which has expired" in condition(said, "Complete")["message"]
    assert condition(said, "Autofail")["reason"] == "NoReplica"
    until(lambda: (space.get("pvc", "hippo-2") or {"metadata": {"uid": before}})["metadata"]["uid"] != before,
          "hippo-2 has another volume", 300)  # fmt: skip
    hippo.wait_ready(300)
    rows = hippo.sql(ROWS)
    until(lambda: hippo.sql(ROWS, "hippo-2") == rows, "hippo-2 has each row", 60)
    assert condition(space.get("pgc", "hippo"), "Autofail")["message"] == "1 replica can take over"
