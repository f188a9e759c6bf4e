"""Ending, and holding up, what runs in the local cluster: its processes are this machine's."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from harness.direct import Direct
from harness.kubectl import Object

_PROC = Path("/proc")


def processes(pod_uid: str) -> Iterator[int]:
    """Of the local cluster's pods, by their cgroup."""
    for entry in _PROC.glob("[0-9]*/cgroup"):
        with suppress(OSError):
            if f"pod{pod_uid}" in entry.read_text().replace("_", "-"):
                yield int(entry.parent.name)


def end_pod(direct: Direct, pod: Object) -> None:
    """As hard as it can be: SIGKILL for its processes, and no grace for the object."""
    kill(processes(pod["metadata"]["uid"]))
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
    direct.delete(path, at_once=True)


def kill(found: Iterable[int]) -> None:
    _signal(found, signal.SIGKILL)


def hold_up(found: Iterable[int], seconds: float) -> None:
    """They stand still for so long: nobody is told, and nothing is lost."""
    held = list(found)
    _signal(held, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        _signal(held, signal.SIGCONT)


def words(process: int) -> list[str]:
    """Its command line; nothing of one that is gone."""
    with suppress(OSError):
        return (_PROC / str(process) / "cmdline").read_bytes().decode("utf-8", "replace").rstrip("\0").split("\0")
    return []


def parent(process: int) -> int:
    """0 of one that is gone."""
    with suppress(OSError):
        return int((_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()[1])
    return 0


def beside(process: int) -> list[int]:
    """All of its container."""
    with suppress(OSError):
        mine = (_PROC / str(process) / "cgroup").read_text()
        return [int(entry.parent.name) for entry in _PROC.glob("[0-9]*/cgroup") if _text(entry) == mine]
    return []


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text()
    return ""


def _signal(found: Iterable[int], number: signal.Signals) -> None:
    for process in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)
