"""Long-lived processes: started detached, found again by pid and start time.

A bare pid file lies after a reboot or a pid wrap-around, and acting on it
could end somebody else's process. So the file also keeps the kernel's start
time of the process; both have to match before anything is signalled.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localcluster import scheduling
from localcluster.config import Machine


@dataclass(frozen=True)
class Component:
    """One process of a node, or of the control plane beside it."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    #: Files the process reads at its start; a changed one restarts it on the next `up`.
    inputs: tuple[Path, ...] = ()
    pass_fds: tuple[int, ...] = ()
    in_netns: bool = True

    def fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps([self.argv, dict(self.env)]).encode())
        for path in self.inputs:
            digest.update(path.read_bytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Running:
    """A live process that this package started."""

    pid: int
    start: int
    fingerprint: str


def start_time(pid: int) -> int | None:
    """Kernel start time in ticks since boot; None for an absent or zombie process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The command name may hold blanks and brackets; fields start after its last bracket.
    fields = stat.rsplit(")", 1)[1].split()
    if fields[0] in "ZX":
        return None
    return int(fields[19])


def running(machine: Machine, name: str) -> Running | None:
    """The live process of that component, if its pid file still tells the truth."""
    try:
        data = json.loads((machine.pids / f"{name}.json").read_text())
        found = Running(int(data["pid"]), int(data["start"]), str(data["fingerprint"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if start_time(found.pid) == found.start else None


def all_running(machine: Machine) -> dict[str, Running]:
    """Every live component by name."""
    found = {path.stem: running(machine, path.stem) for path in sorted(machine.pids.glob("*.json"))}
    return {name: process for name, process in found.items() if process is not None}


def started_at(machine: Machine, name: str) -> float:
    """Wall-clock time of the component's last start."""
    return (machine.pids / f"{name}.json").stat().st_mtime


def spawn(machine: Machine, component: Component) -> Running:
    """Start detached: own session, no stdin, output appended to the component's log."""
    machine.logs.mkdir(parents=True, exist_ok=True)
    machine.pids.mkdir(parents=True, exist_ok=True)
    argv = list(component.argv)
    if component.in_netns:
        # nsenter and not `ip netns exec`: the latter remounts /sys, which hides the cgroups.
        argv = ["nsenter", f"--net={machine.netns_path}", "--", *argv]
    # The caller's own directory and umask must not leak into a process that outlives it.
    with machine.log(component.name).open("ab") as log:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**_environment(), **component.env},
            start_new_session=True,
            pass_fds=component.pass_fds,
            umask=0o022,
        )
    scheduling.prefer(child.pid)
    start = start_time(child.pid) or 0
    # Detached on purpose: without this Python warns about a child it never waited for.
    child.returncode = 0
    process = Running(child.pid, start, component.fingerprint())
    temporary = machine.pids / f".{component.name}.tmp"
    temporary.write_text(json.dumps(vars(process)))
    temporary.rename(machine.pids / f"{component.name}.json")
    return process


def _environment() -> dict[str, str]:
    """A plain environment: proxies or KUBECONFIG of the caller must not reach the cluster.

    GOGC: Go's collector runs a quarter as often, for some hundred MB more. Several clusters share two cores.
    """
    keep = {key: os.environ[key] for key in ("HOME", "LANG", "TZ") if key in os.environ}
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "GOGC": "400", **keep}


def end(targets: Iterable[tuple[int, int]], *, grace: float) -> None:
    """SIGTERM, then SIGKILL what is left after `grace` seconds; returns when all are gone."""
    left = [target for target in targets if start_time(target[0]) == target[1]]
    if grace > 0:
        _signal(left, signal.SIGTERM)
        left = _wait_gone(left, grace)
    _signal(left, signal.SIGKILL)
    _wait_gone(left, 10)


def _signal(targets: Sequence[tuple[int, int]], number: signal.Signals) -> None:
    for pid, start in targets:
        if start_time(pid) == start:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def _wait_gone(targets: Sequence[tuple[int, int]], limit: float) -> list[tuple[int, int]]:
    deadline = time.monotonic() + limit
    left = list(targets)
    while left and time.monotonic() < deadline:
        left = [(pid, start) for pid, start in left if start_time(pid) == start]
        if left:
            time.sleep(0.02)
    return left


def stop(machine: Machine, names: Iterable[str], *, grace: float = 10) -> None:
    """End these components together and forget their pid files."""
    chosen = list(names)
    found = [running(machine, name) for name in chosen]
    end([(process.pid, process.start) for process in found if process], grace=grace)
    for name in chosen:
        (machine.pids / f"{name}.json").unlink(missing_ok=True)


def children_of(pid: int) -> list[int]:
    """Direct children of all threads of a process."""
    found: list[int] = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):  # noqa: PTH207  Path.glob raises where the process ends meanwhile
        try:
            found += [int(word) for word in Path(path).read_text().split()]
        except OSError:
            continue
    return found


def descendants(pid: int) -> list[int]:
    """Children, their children and so on, parents first."""
    found: list[int] = []
    queue = [pid]
    while queue:
        children = children_of(queue.pop(0))
        found += children
        queue += children
    return found


def with_start(pids: Iterable[int]) -> list[tuple[int, int]]:
    """Pair each live pid with its start time, so that later signals cannot hit a reused pid."""
    pairs = ((pid, start_time(pid)) for pid in pids)
    return [(pid, start) for pid, start in pairs if start is not None]
