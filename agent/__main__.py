"""`python3 -m agent [--check]`, and with `job …`, `recover …`, `install-tools …`.

Each is imported only when it is asked for: the probe runs every few seconds beside each PostgreSQL.
"""

import sys


def main(arguments: list[str]) -> int:
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
