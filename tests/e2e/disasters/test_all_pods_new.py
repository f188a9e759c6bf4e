"""All pods of a cluster are new, and no controller is there: one of them becomes the primary all the same.

Patroni lets nobody be the primary whom it has noted before (failsafe mode), by the names of pods, and each pod has a new one.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.cluster import Cluster
from harness.kubectl import Kubectl, phase
from harness.waiting import until


@pytest.fixture(scope="module", autouse=True)
def kept(clusters: tuple[Cluster, Cluster]) -> None:
    for one in clusters:
        one.sql("CREATE TABLE kept AS SELECT i FROM generate_series(1, 100) AS i")


@pytest.fixture
def nobody(clusters: tuple[Cluster, Cluster], space: Kubectl) -> Iterator[None]:
    """No controller."""
    system = space.within("pgwarden-system")
    system.run("scale", "deployment/pgwarden-controller", "--replicas=0")
    yield
    system.run("scale", "deployment/pgwarden-controller", "--replicas=1")
    system.run("rollout", "status", "deployment/pgwarden-controller", "--timeout=120s", seconds=150)


def test_one_of_them_becomes_the_primary(clusters: tuple[Cluster, Cluster], nobody: None, space: Kubectl):
    before = {one.name: one.pods() for one in clusters}
    for names in before.values():
        space.run("delete", "pod", *names, "--grace-period=0", "--force", "--wait=false")
    for one in clusters:

        def primary(name: str = one.name) -> bool:
            selector = f"pgwarden.io/cluster={name},pgwarden.io/role=primary"
            new = [pod for pod in space.list("pod", selector) if pod["metadata"]["name"] not in before[name]]
            return any(phase("Running")(pod) for pod in new)

        until(primary, f"a new pod of {one.name} is the primary", 150)
        until(lambda one=one: one.members() == one.pods(), "all of them are noted", 90)


def test_the_cluster_is_whole_again_under_its_controller(clusters: tuple[Cluster, Cluster], space: Kubectl):
    for one in clusters:
        one.wait_ready(240)
        assert one.sql("SELECT count(*) FROM kept") == "100"
