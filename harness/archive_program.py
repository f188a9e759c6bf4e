"""What PostgreSQL calls (images/archive.c), built for a test: it runs a script of the test's instead of pgBackRest."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "images"
COMPILER = shutil.which("cc")
PR_SET_CHILD_SUBREAPER = 36


def build(folder: Path) -> Path:
    """The program, running `backrest` in *folder*, and with a keeper of its own."""
    target = folder / "pgbackrest-archive"
    limits = [f'-DLIMIT_V2="{folder}/memory.max"', f'-DLIMIT_V1="{folder}/limit_in_bytes"']
    keeper = [f'-DKEEPER="{folder.name}-{os.getpid()}"', "-DSECONDS=2"]
    names = [f'-DPROGRAM="{folder}/backrest"', "-DPATIENCE=2", f'-DGIVE_UP="{folder}/give-up"', *limits, *keeper]
    sources = [FOLDER / name for name in ("archive.c", "adopter.c", "keeper.c")]
    subprocess.run([str(COMPILER), "-Wall", "-Wextra", "-Werror", *names, "-o", target, *sources], check=True)
    return target


def pretend(program: Path, script: str) -> None:
    backrest = program.with_name("backrest")
    backrest.write_text(f"#!/bin/sh\n{script}\n")
    backrest.chmod(0o755)


def give_up(folder: Path) -> None:
    """As the agent asks for it. The kernel's stamps lag behind its clock by some ms: this one is later than now."""
    file, now = folder / "give-up", time.time_ns()
    file.touch()
    while file.stat().st_mtime_ns <= now:
        file.touch()


def children(pid: int | str = "self") -> set[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text("ascii").split()}


def orphans(before: set[int], limit: float = 10) -> list[int]:
    """Exit statuses of every child that this process is left with, but for those that were there *before*."""
    found: list[int] = []
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        left = children() - before
        if not left:
            return found
        for child in left:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                found.append(status)
        time.sleep(0.02)
    raise AssertionError(f"children are still running: {[_command(child) for child in children() - before]}")


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
