"""kubelet's probes of one pod that find nobody, while everything else reaches it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from harness.kubectl import Object
from localcluster.pytest_plugin import ClusterHandle
from pgwarden.api import names


@contextmanager
def unprobed(cluster: ClusterHandle, pod: Object) -> Iterator[None]:
    """Patroni's port of *pod* refuses the node; Patroni itself keeps its lock, and PostgreSQL its clients."""
    rule = ["OUTPUT", "-d", pod["status"]["podIP"], "-p", "tcp", "--dport", str(names.PORT_PATRONI), "-j", "REJECT"]
    subprocess.run(cluster.inside(["iptables", "--wait", "-I", *rule]), check=True)
    try:
        yield
    finally:
        subprocess.run(cluster.inside(["iptables", "--wait", "-D", *rule]), check=True)
