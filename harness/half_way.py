"""A pgBackRest restore inside a pod of the local cluster, caught half way and killed there."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from harness.killing import end_pod, processes, words
from harness.kubectl import Object
from harness.scene import Scene
from harness.waiting import until

#: Of the thousand that a fresh cluster has. pgBackRest writes pg_control last: what is half there cannot be started.
FILES = 200


def kill_half_way(scene: Scene, selector: str, folder: str) -> Object:
    """Stop pgBackRest in the pod of *selector* once it has written some of *folder*, and end the pod, which is told."""
    pod, process = until(lambda: _restoring(scene, selector), f"{selector} restores", 120, pause=0.02)
    data = Path(f"/proc/{process}/root{folder}")
    written = until(lambda: _half_written(data), f"{FILES} files of {selector} are written", 60, pause=0.002)
    for one in _pgbackrest(pod):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGSTOP)
    left = {name: (data / name).exists() for name in ("backup.manifest", "global/pg_control")}
    end_pod(scene.direct, pod)
    assert left == {"backup.manifest": True, "global/pg_control": False}, f"not half way, at {written} files: {left}"
    return pod


def _restoring(scene: Scene, selector: str) -> tuple[Object, int] | None:
    pods = scene.direct.items(scene.core("pods"), selector)
    return next(((pod, process) for pod in pods for process in _pgbackrest(pod)), None)


def _pgbackrest(pod: Object) -> list[int]:
    """Its restore and the workers of that; the sidecar runs a server."""
    found = []
    for process in processes(pod["metadata"]["uid"]):
        said = words(process)
        if said and said[0].endswith("/pgbackrest") and said[-1].partition(":")[0] == "restore":
            found.append(process)
    return found


def _half_written(data: Path) -> int:
    """How many files there are, once there are enough."""
    count = sum(len(files) for _, _, files in os.walk(data / "base"))
    return count if count >= FILES else 0
