"""`python3 -m agent job backup|expire -- ARGS…`, and `job own` for a fresh volume.

pgBackRest's lines go to stdout as they come; the result is a JSON object in the container's termination message.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from agent import log, volume
from agent.paths import Paths


def main(argv: list[str], paths: Paths | None = None) -> int:
    own_args, args = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    flags = _parser().parse_args(own_args)
    log.configure()
    if flags.kind == "own":
        return _own(flags)
    from agent.pgbackrest_job import Job  # it has a door, which the other command has no use for

    return asyncio.run(Job(flags.kind, args, paths or Paths()).run())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="agent job")
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("backup", help="run `pgbackrest ARGS… backup`")
    kinds.add_parser("expire", help="run `pgbackrest ARGS… expire`")
    own = kinds.add_parser("own", help="give a fresh volume's root to a user")
    own.add_argument("--path", type=Path, required=True)
    own.add_argument("--uid", type=int, required=True)
    own.add_argument("--gid", type=int, required=True)
    return parser


def _own(flags: argparse.Namespace) -> int:
    try:
        sys.stdout.write(volume.own(flags.path, flags.uid, flags.gid) + "\n")
    except (volume.VolumeError, OSError) as error:
        sys.stderr.write(f"agent job own: {error}\n")
        return 1
    return 0
