"""What the processes of this container have done: bytes read and written, and time on a CPU.

pgBackRest tells of a file once all of it is copied, and of a removal once all of it is removed. In between, what its
processes do is the only sign that it goes on (/proc/PID/io and /proc/PID/stat of Linux; see proc(5)).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

PROC = Path("/proc")
#: A second on a CPU counts as so many bytes: what removes files moves none.
BYTES_A_SECOND = 2**20
_MOVED = ("rchar:", "wchar:")

#: Process and its start (a number is given again) → what it has done, in bytes.
Work = Mapping[tuple[int, str], int]


def work(proc: Path = PROC) -> Work | None:
    """Of all processes but this one; None where it cannot be read of any, so that nothing is known."""
    found = dict[tuple[int, str], int]()
    for folder in proc.iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        try:
            moved = _moved((folder / "io").read_text(encoding="ascii"))
            started, seconds = _times((folder / "stat").read_text(encoding="utf-8", errors="replace"))
        except (OSError, ValueError, IndexError):  # it has just ended, or is somebody else's
            continue
        found[int(folder.name), started] = moved + int(seconds * BYTES_A_SECOND)
    return found or None


def since(before: Work, now: Work) -> int:
    """How much was done in between, in bytes. What has ended is not counted any more."""
    return sum(max(0, done - before.get(process, 0)) for process, done in now.items())


def _moved(text: str) -> int:
    words = text.split()
    return sum(int(words[words.index(name) + 1]) for name in _MOVED)


def _times(text: str) -> tuple[str, float]:
    """When it started, in ticks, and its seconds on a CPU. Its name, in brackets, may hold anything."""
    fields = text.rpartition(")")[2].split()  # from the third field of proc(5) on
    return fields[19], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
