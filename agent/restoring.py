"""`pgbackrest restore` into a volume: the first step of a recovery; and what Jobs add to pgBackRest's arguments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent import volume
from agent.pgbackrest import Result


@dataclass(frozen=True)
class Place:
    """The volume that is filled, and for whom."""

    pg_data: Path
    root: Path  # where the volume is mounted
    uid: str  # of the object that asks, for the marker
    tablespaces: tuple[Path, ...] = ()


async def fill(place: Place, args: Sequence[str], run: Callable[[list[str]], Awaitable[Result]]) -> Result:
    """*run* pgBackRest with *args* and what the volume asks for. VolumeError: nothing was touched.

    To be called by who holds the volume (volume.alone).
    """
    result = await run(arguments(place, args))
    if result.ok:
        volume.make_folders(place.tablespaces, place.root)
        volume.sign(place.pg_data, args, place.uid)
    return result


def arguments(place: Place, args: Sequence[str]) -> list[str]:
    more = volume.prepare(place.pg_data, place.root, place.uid)
    if not given(args, "pg1-path"):
        more.append(f"--pg1-path={place.pg_data}")
    if not given(args, "pg1-host"):
        more.append("--reset-pg1-host")  # the host's configuration names the pod; a restore writes here
    return [*(arg for arg in args if arg not in more), *more]


def with_command(args: Sequence[str], command: str, level: str = "info") -> list[str]:
    """*args* with the command's name, and with the log level that shows labels."""
    more = [] if given(args, "log-level-console") else [f"--log-level-console={level}"]
    more += [] if given(args, "log-level-stderr") else ["--log-level-stderr=off"]
    return [*more, *args, *([] if command in args else [command])]


def given(args: Iterable[str], option: str) -> bool:
    return any(arg.split("=")[0] in {f"--{option}", f"--reset-{option}", f"--no-{option}"} for arg in args)
