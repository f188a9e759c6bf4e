"""Run a short command with its output kept for the error message."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from localcluster.errors import LocalClusterError


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    limit: float = 120,
    log: Path | None = None,
    way_out: str = "",
    what: str = "",
    stdin: IO[bytes] | None = None,
) -> str:
    """Standard output of the command; its whole output goes to `log` when that is given."""
    command = [str(word) for word in argv]
    title = what or " ".join(command[:4])
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **env} if env else None,
            cwd=cwd,
            text=True,
            errors="replace",
            capture_output=True,
            timeout=limit,
            check=False,
            stdin=stdin or subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise LocalClusterError(f"{command[0]} is not installed", way_out=way_out) from error
    except subprocess.TimeoutExpired as error:
        raise LocalClusterError(f"{title}: no end within {limit:.0f} s", log=log, way_out=way_out) from error
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}")
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LocalClusterError(
            f"{title}: exit code {done.returncode}" + ("" if log else f"\n{last}"),
            log=log,
            way_out=way_out,
        )
    return done.stdout
