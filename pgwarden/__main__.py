"""`python3 -m pgwarden COMMAND`: the one entry point of the container image."""

from __future__ import annotations

import importlib
import sys

#: command → module with `main(argv) -> int`. Imported only when asked for: the webhook must start within a second.
COMMANDS = {
    "webhook": "pgwarden.webhook.main",
    "controller": "pgwarden.controller.main",
    "agent": "pgwarden.agent.main",
    "install-tools": "pgwarden.agent.tools",
    "job": "pgwarden.agent.job",
}


def main(argv: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] not in COMMANDS:
        given = repr(arguments[0]) if arguments else "nothing"
        sys.stderr.write(f"pgwarden: the command must be one of {', '.join(COMMANDS)}, not {given}\n")
        return 2
    module = importlib.import_module(COMMANDS[arguments[0]])
    return int(module.main(arguments[1:]) or 0)


if __name__ == "__main__":
    sys.exit(main())
