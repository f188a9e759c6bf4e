"""`python3 -m agent [--check]`, and with `job …`, `recover …`, `install-tools …`.

Each is imported only when it is asked for: the probe runs every few seconds beside each PostgreSQL.
"""

import signal
import sys
from types import FrameType


def main(arguments: list[str]) -> int:
    if arguments != ["--check"]:
        # Process 1 of a container has no default action: a SIGTERM during the imports, which take seconds on a busy
        # node, would be lost, and the pod would go on with its work until its grace period is over.
        signal.signal(signal.SIGTERM, _end)
    match arguments:
        case ["job", *rest]:
            from agent import job

            return job.main(rest)
        case ["recover", *rest]:
            from agent.recovery import command

            return command.main(rest)
        case ["install-tools", *rest]:
            from agent import tools

            return tools.main(rest)
        case _:
            from agent import main as serve

            return serve.main(arguments)


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
