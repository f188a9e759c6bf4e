"""Waiting for a condition, with a limit and a word on what was seen last."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
#: How many times slower than an idle machine this one may be: the lanes of `make test` share two cores.
SLOWER = float(os.environ.get("PGWARDEN_SLOWER", "1"))


def until(
    look: Callable[[], T | None], what: str, seconds: float, seen: Callable[[], str] = str, pause: float = 0.5
) -> T:
    """The first result of *look* that is true. AssertionError after *seconds*, saying *what* was waited for.

    *seconds* are those of a machine that does nothing else.
    """
    seconds *= SLOWER
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for: {what}\nlast seen:\n{seen()}")
        time.sleep(pause)


def patient(argument: str) -> str:
    """A limit of kubectl's or helm's own, such as `--timeout=60s`: those seconds, too, are of an idle machine."""
    found = re.fullmatch(r"--timeout=(\d+)s", argument)
    return f"--timeout={int(found[1]) * SLOWER:.0f}s" if found else argument
