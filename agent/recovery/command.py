"""`python3 -m agent recover …`: see agent/recovery/__init__.py."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import uvloop

from agent import log
from agent.paths import Paths
from agent.recovery.engine import Engine
from agent.recovery.task import Task
from agent.restoring import Place
from pgwarden.contract.environment import Settings, SettingsError, settled


def main(argv: list[str], paths: Paths | None = None) -> int:
    own_args, args = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    flags = _parser().parse_args(own_args)
    log.configure()
    try:
        os.environ |= settled(os.environ)
        own = Settings.read(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"agent recover: {error}\n")
        return 1
    return uvloop.run(_run(task(flags, args), own, paths or Paths()))


async def _run(wanted: Task, own: Settings, paths: Paths) -> int:
    return await Engine(wanted, own, paths).run()


def task(flags: argparse.Namespace, args: list[str]) -> Task:
    return Task(
        place=Place(flags.pg_data, flags.volume_root, flags.uid, tuple(flags.tablespace)),
        args=tuple(args),
        bin=flags.bin,
        follow=flags.follow,
        preload=flags.preload,
        target_time=flags.target_time,
        config=flags.config,
        copy=flags.copy,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="agent recover")
    parser.add_argument("--pg-data", type=Path, required=True, help="the data directory to fill")
    parser.add_argument("--volume-root", type=Path, required=True, help="where the volume is mounted")
    parser.add_argument("--uid", required=True, help="uid of the object that asks for it, for the marker")
    parser.add_argument("--bin", default="", help="the server's BINDIR in the workload's image, where it is known")
    parser.add_argument(
        "--tablespace", type=Path, action="append", default=[], help="a folder that WAL after the backup may need"
    )
    parser.add_argument("--follow", action="store_true", help="go on with what is archived until recovery-finish")
    parser.add_argument("--preload", default="", help="libraries for shared_preload_libraries, should WAL need them")
    parser.add_argument("--target-time", default="", help="the moment that is recovered to, RFC 3339, for the note")
    parser.add_argument("--config", default="", help="pgBackRest's configuration, instead of pod.conf")
    parser.add_argument("--copy", action="store_true", help="without its source's settings to connect, archive, follow")
    return parser
