"""How much memory a backup needs beside PostgreSQL. Pure.

pgBackRest reads and compresses each file in a process of its own in the sidecar: process-max of them, and one that
leads. Measured with 2.60: agent and server 40 MiB, a process 10 MiB without its compression.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pgwarden.api.kinds import RepositorySpec
from pgwarden.pgbackrest import config
from pgwarden.pgbackrest.user_options import parse_options

MIB = 1024**2
#: Limit of a sidecar where that is enough, and what we give by ourselves at most.
USUAL, MOST = 256 * MIB, 2048 * MIB
#: Below this the agent itself is killed, and PostgreSQL is not started: the tools come from its container.
LEAST = 64 * MIB
_STANDING, _PROCESS = 64 * MIB, 12 * MIB
_STEP = 64 * MIB
#: MiB of one compression, up to which level (ZSTD_estimateCStreamSize of zstd 1.5).
_ZST = ((3, 4), (6, 6), (9, 18), (12, 53), (18, 69), (19, 90), (20, 194), (21, 386), (22, 778))
_OTHERS = {"bz2": 8, "gz": 1, "lz4": 1, "none": 0}


def needed(spec: RepositorySpec, options: Sequence[Any] = ()) -> int:
    """Bytes that a sidecar needs for a backup with a Repository's *spec* and the Backup's own *options*."""
    given = _settings(spec.options, "repository", spec) | _settings(options, "backup", spec)
    processes = int(given.get("process-max") or config.processes(spec.resources))
    return _STANDING + (processes + 1) * (_PROCESS + _compression(given) * MIB)


def sidecar_memory(spec: RepositorySpec) -> str:
    """The limit of a sidecar whose Repository does not say it."""
    wanted = math.ceil(needed(spec) / _STEP) * _STEP
    return f"{min(max(wanted, USUAL), MOST) // MIB}Mi"


def _settings(options: Sequence[Any], command: Any, spec: RepositorySpec) -> dict[str, str]:
    return parse_options(list(options), command=command, storages=spec.storages)[0].settings


def _compression(given: dict[str, str]) -> int:
    kind, level = given.get("compress-type", "zst"), int(given.get("compress-level") or 3)
    if kind != "zst":
        return _OTHERS.get(kind, 0)
    return next(size for most, size in _ZST if level <= most)
