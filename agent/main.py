"""`python3 -m agent`: the agent, or with --check its probe."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def main(argv: list[str]) -> int:
    if argv == ["--check"]:
        from agent.check import check

        return check(os.environ)
    if argv:
        sys.stderr.write(f"pgwarden agent: --check or nothing, not {' '.join(argv)}\n")
        return 2
    # Process 1 of a container has no default action: a SIGTERM during the imports, which take seconds on a busy node,
    # would be lost, and the pod would end only with its grace period.
    signal.signal(signal.SIGTERM, _end)
    from agent import log, process
    from pgwarden.contract.environment import Settings, SettingsError

    log.configure()
    try:
        settings = Settings.read(os.environ)
    except SettingsError as error:
        log.get("agent").error("cannot start", error=str(error))
        return 2
    return process.main(settings)


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
