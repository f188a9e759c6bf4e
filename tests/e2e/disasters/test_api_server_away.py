"""Kubernetes' API server is away under a writing client: databases notice nothing.

PGWARDEN_AWAY_SECONDS says for how long (75); `make disasters` takes ten minutes. Patroni gives the other instances two
seconds to agree: on a machine that starves them, as in CI's lanes beside each other, the primary gives up its role.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from harness import killing
from harness.cluster import Cluster
from harness.kubectl import Kubectl
from harness.objects import schedule
from harness.waiting import until
from localcluster import processes

AWAY = float(os.environ.get("PGWARDEN_AWAY_SECONDS", "75"))
#: Seconds without an acknowledged row that a client may see: far less than a primary that is demoted costs.
LONGEST = 5
ARCHIVED = (
    "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.done' AND modification BETWEEN '{}' AND '{}'"
)


def restarts(space: Kubectl) -> int:
    """Of the controller's container."""
    found = space.within("pgwarden-system").list("pod", "app.kubernetes.io/component=controller")
    return sum(one["restartCount"] for pod in found for one in pod["status"]["containerStatuses"])


@dataclass(frozen=True)
class Outage:
    began: datetime
    over: datetime
    longest: float  # seconds without a row
    written: set[int]
    restarts: int  # of the controller, before


@pytest.fixture(scope="module")
def outage(installed, clusters: tuple[Cluster, Cluster], space: Kubectl) -> Outage:
    hippo, _ = clusters
    own = installed.cluster.local
    if own is None:
        pytest.skip("a foreign cluster's API server is not stopped")
    space.apply(schedule("each-minute", "* * * * *", repository="hippo", type="incr"))
    space.until(
        "pgbs", "each-minute", lambda one: bool((one.get("status") or {}).get("lastSuccessfulTime")), "ran", 150
    )
    hippo.start_writing()
    before = restarts(space)
    server = processes.running(own, "kube-apiserver")
    assert server is not None
    began = datetime.now(UTC)
    killing.hold_up([server.pid], AWAY)
    over = datetime.now(UTC)
    until(lambda: space.run("get", "pods", check=False).returncode == 0, "the API server answers", 60)
    hippo.wait_written(50)
    written, longest = hippo.stop_writing()
    return Outage(began, over, longest, written, before)


def test_clients_write_on_and_nobody_was_promoted(outage: Outage, clusters: tuple[Cluster, Cluster]):
    assert outage.longest < LONGEST
    for one in clusters:
        one.wait_ready(120)
        assert not [at for at in one.promotions().values() if at > outage.began]
    assert outage.written <= clusters[0].rows()
    replica = next(one["name"] for one in clusters[0].status()["instances"] if one["role"] == "replica")
    until(lambda: outage.written <= clusters[0].rows(replica), "the replica has each row", 60)


def test_the_controller_works_on_in_the_same_process(outage: Outage, space: Kubectl):
    """One that ends is started later each time, after up to five minutes."""
    assert restarts(space) == outage.restarts


def test_archiving_went_on(outage: Outage, clusters: tuple[Cluster, Cluster]):
    hippo, _ = clusters
    primary = hippo.postgres()
    found = int(primary.sql(ARCHIVED.format(outage.began.isoformat(), outage.over.isoformat())))
    assert found >= max(1, AWAY // 70 - 1)  # archive_timeout is a minute


def test_the_schedule_catches_up_once(outage: Outage, space: Kubectl):
    def made() -> list[float]:
        times = (one["metadata"]["creationTimestamp"] for one in space.list("pgb", "pgwarden.io/schedule=each-minute"))
        return [datetime.fromisoformat(one).timestamp() for one in times]

    over = outage.over.timestamp()
    until(lambda: any(over - 1 <= one for one in made()), "a backup of the schedule begins", 90)
    caught_up = [one for one in made() if over - 1 <= one < over + 30]
    assert len(caught_up) <= 2  # the missed runs' one, and the minute's own
    space.delete("pgbs", "each-minute")
