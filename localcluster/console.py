"""Progress lines with elapsed seconds, on stderr so that stdout stays machine-readable."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from localcluster.errors import LocalClusterError

_START = time.monotonic()


def say(text: str) -> None:
    """One progress line, flushed: CI logs must show which step hangs."""
    print(f"[{time.monotonic() - _START:6.1f}s] {text}", file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Announce a long step and, when it ends, how long it took."""
    say(f"{text} ...")
    began = time.monotonic()
    yield
    say(f"{text}: done in {time.monotonic() - began:.1f} s")


def wait_until(
    what: str,
    condition: Callable[[], bool],
    *,
    limit: float,
    failed: Callable[[], LocalClusterError | None] = lambda: None,
    interval: float = 0.1,
) -> None:
    """Poll `condition`; `failed` may end the wait early (a dead process never becomes ready)."""
    deadline = time.monotonic() + limit
    while not condition():
        error = failed()
        if error is not None:
            raise error
        if time.monotonic() > deadline:
            raise LocalClusterError(
                f"{what}: not reached within {limit:.0f} s",
                way_out="python3 -m localcluster status; then logs COMPONENT",
            )
        time.sleep(interval)
