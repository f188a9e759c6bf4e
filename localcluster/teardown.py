"""Ending a cluster. Only processes that belong to it by pid file, socket path or cgroup are hit."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import subprocess
from pathlib import Path

from localcluster import cgroups, host, netns, processes
from localcluster.config import Cluster
from localcluster.console import say, step
from localcluster.errors import LocalClusterError

#: kubelet first, or it would restart the containers that are being ended.
_CONTROLLERS = (
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "local-path-provisioner",
)


def shims(cluster: Cluster) -> list[int]:
    """containerd's shims of this cluster, recognised by the socket on their command line."""
    wanted = [b"-address", os.fsencode(cluster.containerd_socket)]
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        pairs = [words[index : index + 2] for index in range(len(words))]
        if wanted in pairs and b"containerd-shim" in words[0]:
            found.append(int(path.parent.name))
    return found


def _end_pods(cluster: Cluster, grace: float) -> None:
    """Containers get SIGTERM and `grace` seconds, as at a node's shutdown; shims go after them."""
    keepers = shims(cluster)
    sockets = _sockets(cluster)  # before their folders go with the containers
    # Signalling the first process of each container is what the container runtime does.
    first = [child for shim in keepers for child in processes.children_of(shim)]
    if grace > 0:
        processes.end(processes.with_start(first), grace=grace)
    rest = [pid for shim in keepers for pid in processes.descendants(shim)]
    rest += cgroups.processes(cluster)
    processes.end(processes.with_start(rest), grace=0)
    processes.end(processes.with_start(keepers), grace=0)
    for socket in sockets:
        Path(socket).unlink(missing_ok=True)


def _sockets(cluster: Cluster) -> list[str]:
    """Of the shims. A container may end by itself meanwhile, and its shim's address with it."""
    found = []
    pattern = f"{cluster.run}/containerd/io.containerd.runtime.v2.task/*/*/address"
    for address in glob.glob(pattern):  # noqa: PTH207  Path.glob raises where a folder goes meanwhile
        with contextlib.suppress(OSError):
            found.append(Path(address).read_text().strip().removeprefix("unix://"))
    return found


def end_everything(cluster: Cluster, *, grace: float) -> None:
    """End every process and clear what a reboot would clear; the data stays."""
    processes.stop(cluster, _CONTROLLERS, grace=min(grace, 5))
    if not (cluster.exists and cluster.apiserver_only):
        _end_pods(cluster, grace)
    # etcd last but the forwarder: the API server must not hang on a missing store.
    names = [path.stem for path in cluster.pids.glob("*.json")]
    quick = 5.0 if grace > 0 else 0
    processes.stop(cluster, [name for name in names if name not in ("etcd", "forwarder")], grace=quick)
    processes.stop(cluster, ["etcd", "forwarder"], grace=quick)
    unmount(cluster)
    host.forget_cni(cluster)
    shutil.rmtree(cluster.run, ignore_errors=True)
    netns.delete(cluster)
    cgroups.delete(cluster)


def mounts_below(folder: Path) -> list[str]:
    """Mount points below a folder, deepest first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), line.split()[4])
        if point.startswith(f"{folder}/"):
            found.append(point)
    # Later mounts may lie on top of earlier ones, so undo them in reverse order.
    return found[::-1]


def unmount(cluster: Cluster) -> None:
    """Unmount everything below the state folder; lazily only what stays busy."""
    for options in ([], ["-l"]):
        points = mounts_below(cluster.state)
        if points:
            subprocess.run(["umount", *options, *points], check=False, stdin=subprocess.DEVNULL, capture_output=True)


def stop(cluster: Cluster, *, grace: float = 10) -> None:
    """Stop the whole cluster like a machine that is shut down (grace 0: switched off)."""
    with step(f"stopping cluster {cluster.name}"):
        end_everything(cluster, grace=grace)


def down(cluster: Cluster) -> None:
    """End the cluster and remove every trace of it."""
    with step(f"removing cluster {cluster.name}"):
        end_everything(cluster, grace=0)
        left = mounts_below(cluster.state)
        if left:
            raise LocalClusterError(
                f"still mounted: {', '.join(left)}",
                way_out="end what uses these mounts and run `down` again",
            )
        host.restore(cluster)
        if cluster.state.exists():
            shutil.rmtree(cluster.state)
    for folder in cgroups.delete(cluster):
        say(f"the kernel still holds the cgroup {folder}")
