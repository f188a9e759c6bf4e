"""pytest fixtures for tests against a real Kubernetes.

Load it with `pytest_plugins = ["localcluster.pytest_plugin"]` in the top conftest.

* `apiserver`: etcd and the API server only, made for the session and removed after it.
* `cluster`: the full node. A running cluster of the default name is used and left
  running; otherwise one is made, and removed unless PGWARDEN_KEEP_CLUSTER=1.
  PGWARDEN_USE_KUBECONFIG names the kubeconfig of a foreign cluster to use instead.
* `chromium`: the path of Debian's Chromium, which is installed where it is missing.
* `second_node`: one more node of that cluster, for one module, which may kill it.

With pytest-xdist each worker has a cluster of its own: the first the named one, the next NAME-2, and so on.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from localcluster import lifecycle, loading, netns, s3, teardown
from localcluster.api import Api
from localcluster.config import Cluster
from localcluster.config import cluster as named
from localcluster.tools import Tools, prepare_browser, prepare_host


@dataclass(frozen=True)
class ClusterHandle:
    """What a test gets; `local` is None for a foreign cluster."""

    kubeconfig: Path
    local: Cluster | None = None

    def kubectl(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002 - the name subprocess.run has for it
        check: bool = True,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl; with `check` a failure shows kubectl's own words."""
        done = subprocess.run(
            [str(Tools().path("kubectl")), f"--kubeconfig={self.kubeconfig}", *args],
            text=True,
            capture_output=True,
            timeout=timeout,
            check=False,
            **({"input": input} if input is not None else {"stdin": subprocess.DEVNULL}),
        )
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(args)}: {done.returncode}\n{done.stderr}")
        return done

    def load(self, *archives: Path) -> list[str]:
        """Import image archives into the node; returns their references."""
        return loading.load(self._own(), Tools(), archives)

    def inside(self, command: Sequence[str]) -> list[str]:
        """The same command, to be run in the cluster's network namespace.

        A webhook server the API server shall call has to listen there.
        """
        return [*netns.inside(self._own()), *command]

    def make_bucket(self, bucket: str) -> None:
        s3.make_bucket(self._own(), bucket)

    def _own(self) -> Cluster:
        if self.local is None:
            pytest.skip("needs the local cluster, and PGWARDEN_USE_KUBECONFIG names another")
        return self.local


@dataclass(frozen=True)
class NodeHandle:
    """A node beside the first; `name` is that of its Node object, `first` that of the first's."""

    cluster: Cluster
    number: int

    @property
    def name(self) -> str:
        return self.cluster.machine(self.number).node

    @property
    def first(self) -> str:
        return self.cluster.node

    def kill(self) -> None:
        """For good, its volumes with it. Its Node object stays."""
        with lifecycle.locked(self.cluster):
            if any(one.number == self.number for one in self.cluster.machines):
                lifecycle.kill_node(self.cluster, self.number)


def pytest_configure() -> None:
    """In the environment, because commands that tests run take the cluster's name from there."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    if number:
        os.environ["PGWARDEN_CLUSTER"] = f"{named().name}-{number + 1}"


def pytest_runtestloop(session: pytest.Session) -> None:
    """Tools are built before the first test begins: with an empty cache that takes longer than a test may."""
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    asked = wanted & {"apiserver", "cluster"}
    if "chromium" in wanted and not session.config.option.collectonly:
        prepare_browser(Tools())
    if asked and not session.config.option.collectonly and "PGWARDEN_USE_KUBECONFIG" not in os.environ:
        tools, needed = Tools(), () if "cluster" in asked else lifecycle.APISERVER_TOOLS
        prepare_host(tools, needed)
        tools.ensure(needed)


@pytest.fixture(scope="session")
def chromium() -> Path:
    return prepare_browser(Tools())


@pytest.fixture(scope="session")
def apiserver() -> Iterator[ClusterHandle]:
    """A control plane of this test session alone; several sessions live side by side."""
    own = named(f"api-{os.getpid()}")
    try:
        lifecycle.up(own, apiserver_only=True)
        yield ClusterHandle(own.kubeconfig, own)
    finally:
        _remove(own)


@pytest.fixture(scope="session")
def cluster() -> Iterator[ClusterHandle]:
    """The full node: a foreign one, the running one or one made for this session."""
    foreign = os.environ.get("PGWARDEN_USE_KUBECONFIG")
    if foreign:
        yield ClusterHandle(Path(foreign))
        return
    own = named()
    keep = os.environ.get("PGWARDEN_KEEP_CLUSTER") == "1" or _is_running(own)
    try:
        lifecycle.up(own)
        yield ClusterHandle(own.kubeconfig, own)
    finally:
        if not keep:
            _remove(own)


@pytest.fixture(scope="module")
def second_node(cluster: ClusterHandle) -> Iterator[NodeHandle]:
    """A node that joins now, with all the images of the first, and is gone without a trace after the module."""
    own = cluster.local
    if own is None:
        pytest.skip("needs the local cluster, and PGWARDEN_USE_KUBECONFIG names another")
    lifecycle.up(own, nodes=len(own.machines) + 1)
    node = NodeHandle(own, own.machines[-1].number)
    try:
        yield node
    finally:
        node.kill()
        cluster.kubectl("delete", "node", node.name, "--ignore-not-found")


def _is_running(own: Cluster) -> bool:
    return own.exists and bool(own.kubeconfig.exists()) and Api(own).ready()


def _remove(own: Cluster) -> None:
    with lifecycle.locked(own):
        teardown.down(own)
