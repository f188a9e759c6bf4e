"""restore and undo: what it will do is said, then asked for, then created; with --plan only said."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime

from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.cli import data_loss, output, prospect, resources
from pgwarden.cli.errors import OK, UsageError, unknown
from pgwarden.cli.lookup import Objects
from pgwarden.cli.operate import settle, sure
from pgwarden.cli.session import Session, connect, names_of
from pgwarden.cli.submit import in_namespace, judge, submit
from pgwarden.cli.terminal import Terminal


async def restore(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    return await _carry_out(args, terminal, resources.restore(args, datetime.now(UTC)))


async def undo(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    if not args.repository:
        async with connect(args) as session:
            args.repository = await _repository_of(session, args.restore)
    return await _carry_out(args, terminal, resources.undo(args))


async def _repository_of(session: Session, name: str) -> str:
    """By the Restore or, where its object is gone, by the Backup after it."""
    restores = await session.all("restores")
    found = [one for one in restores if one["metadata"]["name"] == name]
    found += [
        one for one in await session.all("backups") if get(one, str, "metadata", "labels", names.LABEL_RESTORE) == name
    ]
    repository = next((of for one in found if (of := get(one, str, "spec", "repository"))), "")
    if not repository:
        raise unknown("Restore", name, session.namespace, names_of(restores))
    return repository


async def _carry_out(args: argparse.Namespace, terminal: Terminal, obj: Object) -> int:
    if args.plan:
        if args.dry_run or args.wait:
            raise UsageError(f"--plan and {'--dry-run' if args.dry_run else '--wait'} cannot be combined")
        return await _plan(args, terminal, obj)

    async def confirm(session: Session, made: Object, there: Sequence[Object]) -> None:
        if made["spec"].get("volumeClaim"):
            return  # nothing that exists is touched
        for line in await _lines(session, made, there):
            terminal.note(line)
        sure(args, terminal, f"Type the Repository's name ({args.repository}) to continue: ", args.repository)

    return await submit(args, terminal, obj, confirm)


async def _plan(args: argparse.Namespace, terminal: Terminal, obj: Object) -> int:
    async with connect(args) as session:
        there = await session.for_rules(args.repository)
        made = in_namespace(obj, session.namespace, there, named=bool(args.name))
        judge(made, Objects(there, session.namespace), terminal)
        if args.output in {"json", "yaml"}:
            repository = await session.repository(args.repository)
            around = await prospect.read(session, args.repository, there)
            found = prospect.of(made, repository, datetime.now(UTC), around).json()
            terminal.say(output.formatted({"restore": made["metadata"]["name"]} | found, args.output))
            return OK
        for line in await _lines(session, made, there):
            terminal.say(line)
    terminal.note("nothing was changed (--plan)")
    return OK


async def _lines(session: Session, made: Object, there: Sequence[Object]) -> list[str]:
    name = made["spec"]["repository"]
    repository = await session.repository(name)
    cluster = await session.find("postgresclusters", name)
    around = await prospect.read(session, name, there)
    return data_loss.of_restore(made, repository, datetime.now(UTC), cluster, around)
