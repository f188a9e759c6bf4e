"""expire: makes room on a full volume. The word is an annotation; the controller carries it out in its turn."""

from __future__ import annotations

import argparse
from datetime import datetime

from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.quantity import size
from pgwarden.api.reading import get, moment, objects
from pgwarden.cli.errors import OK, WRONG, CliError
from pgwarden.cli.operate import sure
from pgwarden.cli.output import clock, count
from pgwarden.cli.session import connect
from pgwarden.cli.terminal import Terminal
from pgwarden.kube import paths
from pgwarden.rules import backup_sets


async def run(args: argparse.Namespace, terminal: Terminal) -> int:
    async with connect(args) as session:
        repository = await session.repository(args.repository)
        label = chosen(repository, args.set or "")
        terminal.note(f"Repository {args.repository}: {consequence(repository, label)}")
        if args.dry_run:
            terminal.note("dry run: nothing was changed")
            return OK
        sure(args, terminal, "Expire it? [y/N] ", "y")
        path = paths.of("repositories", session.namespace, args.repository)
        await session.client.merge(path, {"metadata": {"annotations": {names.ANNOTATION_EXPIRE: label}}})
        terminal.say(
            f"Repository {args.repository}: {label} is expired as soon as no Backup or Restore runs; an Event says so"
        )
    return OK


def offered(repository: Object) -> tuple[str, Object]:
    """The storage that is on a volume, and what can be expired there; empty where nothing can."""
    for one in objects(repository, "status", "storages"):
        found = get(one, dict, "expirable")
        if found and isinstance(found.get("label"), str):
            return str(one.get("name")), found
    return "", {}


def chosen(repository: Object, wanted: str) -> str:
    """The full backup that goes: *wanted*, or else the oldest. CliError where none may go."""
    found = str(offered(repository)[1].get("label") or "")
    if not found:
        message = (
            f"Repository {repository['metadata']['name']} has nothing to expire: the newest full backup stays, and "
            "only a storage on a volume is meant"
        )
        raise CliError(message, code=WRONG)
    return wanted or found


def consequence(repository: Object, label: str) -> str:
    storage, found = offered(repository)
    more = ""
    if label == found.get("label"):
        others = (get(found, int, "sets") or 1) - 1
        more = f" with {count(others, 'set')} on it" if others else ""
        more += f" ({size(found.get('size'))})"
    text = f"full backup {label}{more} is expired in storage {storage}, with all WAL before the next full backup"
    after = _next_full(repository, storage, label)
    return f"{text}; what was before {clock(after)} cannot be recovered from it any more" if after else text


def _next_full(repository: Object, storage: str, label: str) -> datetime | None:
    """When the full backup after *label* ended; None where not all of them are listed."""
    sets = backup_sets.of(repository).of_storage(storage)
    later = [one for one in sets.newest_first if one.get("type") == "full" and str(one.get("label")) > label]
    return moment(later[-1].get("stopTime")) if later and sets.whole else None
