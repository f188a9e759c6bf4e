"""What kubelet changes outside the cluster's folders, and putting it back.

kubelet has a few fixed paths and sets four global kernel parameters at its
start. They are recorded before the first start; `down` restores them when no
other cluster is left that still relies on them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

from localcluster.config import Cluster, Machine, clusters

_SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
_FOLDERS = (
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
    "/var/lib/cni",
    "/run/containerd",
    "/opt/cni",
    "/usr/libexec/kubernetes",
)
_KUBELET_FILES = (
    "/var/lib/kubelet/device-plugins/kubelet.sock",
    "/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint",
)
_CNI_RESULTS = Path("/var/lib/cni/results")
_CONTAINER_LOGS = Path("/var/log/containers")


def _book(cluster: Cluster) -> Path:
    return cluster.state / "host.json"


def record(cluster: Cluster) -> None:
    """Remember the host's state, once; a second cluster inherits the first one's record."""
    if _book(cluster).exists():
        return
    for other in clusters():
        if other.name != cluster.name and _book(other).exists():
            shutil.copy2(_book(other), _book(cluster))
            return
    values = {}
    for name in _SYSCTLS:
        with contextlib.suppress(OSError):
            values[name] = Path("/proc/sys", name).read_text().strip()
    absent = [folder for folder in _FOLDERS if not Path(folder).exists()]
    _book(cluster).write_text(json.dumps({"sysctls": values, "absent": absent}))


def restore(cluster: Cluster) -> None:
    """Remove this cluster's traces; the shared ones only with the last cluster."""
    for machine in cluster.machines:
        forget_cni(machine)
    forget_logs(cluster)
    others = [one for one in clusters() if one.name != cluster.name and _book(one).exists()]
    if others or not _book(cluster).exists():
        return
    data = json.loads(_book(cluster).read_text())
    for name, value in data["sysctls"].items():
        with contextlib.suppress(OSError):
            Path("/proc/sys", name).write_text(value)
    for file in _KUBELET_FILES:
        if "/var/lib/kubelet" in data["absent"]:
            Path(file).unlink(missing_ok=True)
    for folder in data["absent"]:
        _prune(Path(folder))


def forget_logs(machine: Machine) -> None:
    """kubelet's links to the logs of its containers."""
    if _CONTAINER_LOGS.is_dir():
        for link in _CONTAINER_LOGS.iterdir():
            if link.is_symlink() and str(link.readlink()).startswith(f"{machine.state}/"):
                link.unlink()


def forget_cni(machine: Machine) -> None:
    """libcni caches results at a fixed place, by network and container."""
    marks = {f"{machine.network_name}-"}
    for folder in (
        machine.run / "containerd/io.containerd.runtime.v2.task/k8s.io",
        machine.state / "containerd/io.containerd.grpc.v1.cri/sandboxes",
    ):
        marks.update(f"-{path.name}-" for path in folder.glob("*"))
    for path in _CNI_RESULTS.glob("*"):
        if any(mark in path.name for mark in marks):
            path.unlink(missing_ok=True)


def _prune(folder: Path) -> None:
    """Remove empty folders only: somebody else may have come to use this place meanwhile."""
    for path, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            Path(path).rmdir()
