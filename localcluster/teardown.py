"""Ending a cluster. Only processes that belong to it by pid file, socket path or cgroup are hit."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import subprocess
from pathlib import Path

from localcluster import cgroups, host, netns, processes, rights
from localcluster.config import Cluster, Machine
from localcluster.console import say, step
from localcluster.errors import LocalClusterError

#: kubelet first, or it would restart the containers that are being ended.
_CONTROLLERS = (
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "local-path-provisioner",
)


def shims(machine: Machine) -> list[int]:
    """containerd's shims of this node, recognised by the socket on their command line."""
    wanted = [b"-address", os.fsencode(machine.containerd_socket)]
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


def _end_pods(machine: Machine, grace: float) -> None:
    """Containers get SIGTERM and `grace` seconds, as at a node's shutdown; shims go after them."""
    keepers = shims(machine)
    sockets = _sockets(machine)  # before their folders go with the containers
    # Signalling the first process of each container is what the container runtime does.
    first = [child for shim in keepers for child in processes.children_of(shim)]
    if grace > 0:
        processes.end(processes.with_start(first), grace=grace)
    rest = [pid for shim in keepers for pid in processes.descendants(shim)]
    rest += cgroups.processes(machine)
    processes.end(processes.with_start(rest), grace=0)
    processes.end(processes.with_start(keepers), grace=0)
    for socket in sockets:
        Path(socket).unlink(missing_ok=True)


def _sockets(machine: Machine) -> list[str]:
    """Of the shims. A container may end by itself meanwhile, and its shim's address with it."""
    found = []
    pattern = f"{machine.run}/containerd/io.containerd.runtime.v2.task/*/*/address"
    for address in glob.glob(pattern):  # noqa: PTH207  Path.glob raises where a folder goes meanwhile
        with contextlib.suppress(OSError):
            found.append(Path(address).read_text().strip().removeprefix("unix://"))
    return found


def end_everything(cluster: Cluster, *, grace: float) -> None:
    """End every process and clear what a reboot would clear; the data stays."""
    processes.stop(cluster, _CONTROLLERS, grace=min(grace, 5))
    for machine in cluster.machines[1:]:
        _end_machine(machine, grace)
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


def _end_machine(machine: Machine, grace: float) -> None:
    """The same of a node beside the first, where nothing else runs."""
    processes.stop(machine, ["kubelet"], grace=min(grace, 5))
    _end_pods(machine, grace)
    processes.stop(machine, [path.stem for path in machine.pids.glob("*.json")], grace=5.0 if grace > 0 else 0)
    unmount(machine)
    host.forget_cni(machine)
    shutil.rmtree(machine.run, ignore_errors=True)
    netns.delete(machine)
    cgroups.delete(machine)


def kill_node(cluster: Cluster, machine: Machine) -> None:
    """A node's end for good, its volumes with it, as when a machine burns: nobody is told, nobody takes leave.

    It is cut from the network first: what the kernel sends when it closes a dead process's connections arrives nowhere.
    """
    netns.cut(cluster, machine)
    _end_machine(machine, 0)
    cluster.forget_machine(machine.number)
    remove_folder(machine)
    host.forget_logs(machine)


def remove_folder(machine: Machine) -> None:
    left = mounts_below(machine.state)
    if left:
        raise LocalClusterError(
            f"still mounted: {', '.join(left)}",
            way_out="end what uses these mounts and run the command again",
        )
    if machine.state.exists():
        shutil.rmtree(machine.state)


def mounts_below(folder: Path) -> list[str]:
    """Mount points below a folder, deepest first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), line.split()[4])
        if point.startswith(f"{folder}/"):
            found.append(point)
    # Later mounts may lie on top of earlier ones, so undo them in reverse order.
    return found[::-1]


def unmount(machine: Machine) -> None:
    """Unmount everything below the state folder; lazily only what stays busy."""
    for options in ([], ["-l"]):
        points = mounts_below(machine.state)
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
        machines = cluster.machines
        host.restore(cluster)
        rights.save(cluster)
        remove_folder(cluster)
    for folder in [left for machine in machines for left in cgroups.delete(machine)]:
        say(f"the kernel still holds the cgroup {folder}")
