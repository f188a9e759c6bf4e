"""`python3 -m agent`: the agent, or with --check its probe."""

from __future__ import annotations

import os
import sys


def main(argv: list[str]) -> int:
    if argv == ["--check"]:
        from agent.check import check

        return check(os.environ)
    if argv:
        sys.stderr.write(f"pgwarden agent: --check or nothing, not {' '.join(argv)}\n")
        return 2
    from agent import log, process
    from pgwarden.contract.environment import Settings, SettingsError, settled

    log.configure()
    try:
        os.environ |= settled(os.environ)
        settings = Settings.read(os.environ)
    except SettingsError as error:
        log.get("agent").error("cannot start", error=str(error))
        return 2
    return process.main(settings)
