"""The cluster's ports on the host's loopback, remembered so that a kubeconfig stays valid."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

from localcluster import netns, processes
from localcluster.config import API_PORT, NODE_IP, S3_PORT, Cluster
from localcluster.processes import Component

FORWARDER = "forwarder"


def remembered(cluster: Cluster) -> dict[str, int]:
    """Port by route name ("api", "s3"); empty before the first start."""
    try:
        data = json.loads((cluster.state / "ports.json").read_text())
        return {str(name): int(port) for name, port in data.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _targets(cluster: Cluster) -> dict[str, str]:
    api = {"api": f"127.0.0.1:{API_PORT}"}
    return api if cluster.apiserver_only else {**api, "s3": f"{NODE_IP}:{S3_PORT}"}


def _listen(port: int) -> socket.socket:
    """Listen on the remembered port, or on a free one when something else took it."""
    for candidate in (port, 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", candidate))
            listener.listen(128)
        except OSError:
            listener.close()
            continue
        return listener
    raise OSError("no free port on 127.0.0.1")


def ensure_forwarder(cluster: Cluster) -> dict[str, int]:
    """Start the forwarder unless one serves the present namespace; returns the ports."""
    alive = processes.running(cluster, FORWARDER)
    known = remembered(cluster)
    targets = _targets(cluster)
    if alive and netns.holds(cluster, alive.pid) and set(known) == set(targets):
        return known
    processes.stop(cluster, [FORWARDER], grace=0)
    listeners = {name: _listen(known.get(name, 0)) for name in targets}
    ports = {name: int(listener.getsockname()[1]) for name, listener in listeners.items()}
    words = [f"{listeners[name].fileno()}={target}" for name, target in targets.items()]
    program = Path(__file__).with_name("forwarder.py")
    processes.spawn(
        cluster,
        Component(
            FORWARDER,
            # -I: neither the caller's folder nor its PYTHON* variables may change what runs.
            (sys.executable, "-I", str(program), *words),
            pass_fds=tuple(listener.fileno() for listener in listeners.values()),
        ),
    )
    for listener in listeners.values():
        listener.close()
    (cluster.state / "ports.json").write_text(json.dumps(ports))
    return ports
