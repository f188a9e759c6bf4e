"""The node that a module loses, and the PostgresClusters that several modules begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.cluster import Cluster, manifest
from harness.install import NAMESPACE
from harness.kubectl import Kubectl
from harness.waiting import until
from localcluster.pytest_plugin import NodeHandle


@pytest.fixture(scope="module")
def clusters(installed, space: Kubectl) -> tuple[Cluster, Cluster]:
    """One of two instances, hippo, and one of one, lone. Patroni has noted their members."""
    space.apply(manifest("hippo", 2), manifest("lone", 1))
    found = Cluster(space, "hippo"), Cluster(space, "lone")
    for one in found:
        one.wait_ready(400)
    for one in found:
        until(lambda one=one: one.members() == one.pods(), "Patroni has noted its members", 60)
    return found


@pytest.fixture(scope="module")
def node(installed, second_node: NodeHandle) -> Iterator[NodeHandle]:
    """The one to be lost. pgwarden itself was there before it came, and is whole again for the next module."""
    yield second_node
    second_node.kill()
    installed.kubectl.run("delete", "node", second_node.name, "--ignore-not-found")
    for name in ("pgwarden-webhook", "pgwarden-controller"):
        installed.kubectl.within(NAMESPACE).run(
            "rollout", "status", f"deployment/{name}", "--timeout=180s", seconds=200
        )
