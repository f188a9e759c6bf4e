"""Waiting for a condition, with a limit and a word on what was seen last."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    look: Callable[[], T | None], what: str, seconds: float, seen: Callable[[], str] = str, pause: float = 0.5
) -> T:
    """The first result of *look* that is true. AssertionError after *seconds*, saying *what* was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for: {what}\nlast seen:\n{seen()}")
        time.sleep(pause)
