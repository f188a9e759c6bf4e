"""What a Restore to one moment takes, loses and costs, and the command that makes it. Pure.

The Restore is made by the command line's own parser from the command that is shown: what is said is of that command.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pgwarden.api.objects import Object
from pgwarden.api.quantity import size
from pgwarden.api.target import parse_time, rfc3339
from pgwarden.api.wording import clock, count
from pgwarden.cli import data_loss, parser, prospect, protection_window, resources, submit
from pgwarden.cli.errors import CliError
from pgwarden.cli.lookup import Objects
from pgwarden.cli.prospect import Around
from pgwarden.dashboard.words import lasted

_QUANTITY = {"exactly": "", "about": "about ", "atMost": "at most "}
_STEPS = (1, 5, 15, 60, 300, 900, 3600)  # seconds between two places of the slider
_PLACES = 2000


@dataclass(frozen=True)
class Moment:
    """`refused`: why no such Restore can be made now, in the webhook's own words."""

    at: str  # RFC 3339; empty is the latest state
    title: str
    set: str
    copies: str
    replays: str
    takes: str
    lost: str
    command: str
    plan: str
    lines: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Slider:
    """In seconds since 1970. `latest` is the last place: the latest state."""

    least: int
    latest: int
    step: int
    value: int


@dataclass(frozen=True)
class Where:
    """The Repository, and what else its Restore is judged by."""

    repository: Object
    namespace: str
    there: Sequence[Object]  # of the namespace
    around: Around
    cluster: Object | None = None
    flags: Sequence[str] = field(default_factory=tuple)  # by which the command line finds the same cluster


def slider(repository: Object, at: datetime | None) -> Slider | None:
    """Over the newest window without a hole; None where nothing can be recovered."""
    windows = protection_window.windows(repository)
    if not windows:
        return None
    # pgBackRest takes the newest set that ended before the target, in whole seconds.
    least = int(min(one.since for one in windows).timestamp()) + 1
    length = max(0, int(max(one.until for one in windows).timestamp()) - least)
    step = next((one for one in _STEPS if length / one <= _PLACES), _STEPS[-1])
    latest = least + (length // step + 1) * step  # a browser stops at whole steps only
    value = latest if at is None else min(latest, max(least, int(at.timestamp())))
    return Slider(least, latest, step, value)


def of(where: Where, at: datetime | None, now: datetime) -> Moment:
    name = str(where.repository["metadata"]["name"])
    words = ["restore", name, "-n", where.namespace, *where.flags]
    if at is not None:
        words.append(f"--pitr-target={rfc3339(at)}")
    _, args = parser.parse(words)
    made = submit.in_namespace(resources.restore(args, now), where.namespace, where.there, named=False)
    found = prospect.of(made, where.repository, now, where.around)
    forecast = found.forecast
    wal = ""
    if forecast.wal_segments is not None:
        how = _QUANTITY.get(forecast.wal_is, "")
        wal = f"{how}{count(forecast.wal_segments, 'WAL segment')} ({size(forecast.wal_bytes)})"
    command = shlex.join(["kubectl", "pgwarden", *words])
    return Moment(
        at=rfc3339(at) if at else "",
        title=f"to {clock(at)}" if at else "to the latest state",
        set=f"{forecast.set} ({forecast.type}, storage {forecast.storage})" if forecast.set else "",
        copies=size(forecast.copy_bytes) if forecast.copy_bytes is not None else "",
        replays=wal,
        takes=f"about {lasted(max(1, forecast.seconds))}" if forecast.seconds is not None else "",
        lost=forecast.lost,
        command=command,
        plan=f"{command} --plan",
        lines=tuple(data_loss.lines(made, where.repository, found, where.cluster)),
        refused=_refused(made, where),
    )


def _refused(made: Object, where: Where) -> tuple[str, ...]:
    try:
        submit.judge(made, Objects(where.there, where.namespace), None)
    except CliError as error:
        return tuple(error.faults) or (error.message.partition(" refused: ")[2] or error.message,)
    return ()


def parse(text: str) -> datetime | None:
    """What the address asks for; None is the latest state. TargetError where it is no time."""
    if not text or text == "latest":
        return None
    if text.isascii() and text.isdecimal() and len(text) <= 11:  # the slider's
        return datetime.fromtimestamp(int(text), UTC)
    return parse_time(text)
