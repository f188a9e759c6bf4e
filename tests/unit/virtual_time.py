"""An event loop whose clock jumps to whatever comes next, so that minutes of waiting take no time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class VirtualTime(asyncio.SelectorEventLoop):
    """For code that waits for timers alone, not for sockets."""

    _now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        due = min((one._when for one in self._scheduled if not one._cancelled), default=None)
        if not self._ready and due is not None:
            self._now = max(self._now, due)
        super()._run_once()


def run(main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(main)
