"""The cgroup below which kubelet puts every pod of one node."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from localcluster import scheduling
from localcluster.config import Machine

_ROOT = Path("/sys/fs/cgroup")
# cgroup v1: a new cpuset has no CPUs and takes no process until these are copied down.
_CPUSET_FILES = ("cpuset.cpus", "cpuset.mems")


def _hierarchies() -> list[Path]:
    """The one root of cgroup v2, or each mounted controller of v1."""
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    return [path for path in sorted(_ROOT.iterdir()) if path.is_dir() and not path.is_symlink()]


def create(machine: Machine) -> None:
    """kubelet refuses a cgroupRoot that does not exist."""
    for root in _hierarchies():
        group = root / machine.cgroup.lstrip("/")
        group.mkdir(exist_ok=True)
        for name in _CPUSET_FILES:
            source, target = root / name, group / name
            if source.exists() and target.exists() and not target.read_text().strip():
                target.write_text(source.read_text())
        if root == _ROOT:
            _delegate(root)
        scheduling.weigh(group)


def _delegate(root: Path) -> None:
    """cgroup v2: controllers have to be handed down before a child can use them."""
    for controller in (root / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):
            (root / "cgroup.subtree_control").write_text(f"+{controller}")


def delete(machine: Machine) -> list[Path]:
    """Remove the tree, children first; returns what the kernel would not let go."""
    left = []
    for root in _hierarchies():
        group = root / machine.cgroup.lstrip("/")
        for folder in sorted({*folders(group), group}, key=lambda path: -len(path.parts)):
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                left.append(folder)
    return left


def processes(machine: Machine) -> list[int]:
    """Every process inside the node's cgroups: its containers, whoever their parent is."""
    found: set[int] = set()
    for root in _hierarchies():
        group = root / machine.cgroup.lstrip("/")
        for folder in folders(group):
            with contextlib.suppress(OSError):
                found.update(int(word) for word in (folder / "cgroup.procs").read_text().split())
    return sorted(found)


def folders(group: Path) -> list[Path]:
    """*group* and all below it that is still there: containers end while we look, and Path.rglob would raise."""
    return [Path(folder) for folder, _, _ in os.walk(group)]
