"""How much memory a pgBackRest may take that asks a storage: that may list without an end, and all of it is held.

At its bound pgBackRest says so of that storage. The kernel would end it, and where it ends all of a container at once,
the agent.
"""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

MIB = 1024**2
#: The limit of a container, in cgroups of either version.
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
#: `info` of 10,000 backup sets takes less.
LEAST, MOST = 96 * MIB, 512 * MIB


def of_container(limits: tuple[Path, ...] = _LIMITS) -> int:
    """Bytes: half of what the container may have."""
    for path in limits:
        with contextlib.suppress(OSError, ValueError):  # the next one; `max` is no bound
            return max(LEAST, min(MOST, int(path.read_text("ascii")) // 2))
    return MOST


def put(pid: int, most: int) -> None:
    """From now on. One that has ended already needs none."""
    with contextlib.suppress(OSError):
        resource.prlimit(pid, resource.RLIMIT_DATA, (most, most))
