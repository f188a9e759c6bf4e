"""The node that a module loses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.install import NAMESPACE
from localcluster.pytest_plugin import NodeHandle


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
