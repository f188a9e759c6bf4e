"""From a resource to the cluster: judged by the rules, printed on a dry run, created, watched."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import count

from pgwarden import rules
from pgwarden.api import names
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.objects import Object
from pgwarden.api.registry import BY_NAME
from pgwarden.api.schema import with_defaults
from pgwarden.cli import output, resources, wait
from pgwarden.cli.errors import OK, refused
from pgwarden.cli.lookup import Objects
from pgwarden.cli.session import Session, connect, known_namespace
from pgwarden.cli.terminal import Terminal
from pgwarden.kube import errors, paths

#: Asked between judgement and creation, with the namespace's objects of our kinds; a CliError stops there.
Confirm = Callable[[Session, Object, Sequence[Object]], Awaitable[None]]
DRY_RUN = " (server dry run: valid, nothing was changed)"
_TRIES = 20  # names tried where another one was created in the same second


async def submit(args: argparse.Namespace, terminal: Terminal, obj: Object, confirm: Confirm | None = None) -> int:
    if args.dry_run == "client":
        _dry(args, terminal, obj)
        return OK
    async with connect(args) as session:
        there = await session.for_rules(args.repository)
        obj = in_namespace(obj, session.namespace, there, named=bool(args.name))
        judge(obj, Objects(there, session.namespace), terminal)
        if confirm is not None and not args.dry_run:
            await confirm(session, obj, there)
        made = await _create(session, args, obj)
        terminal.say(answer(made, args))
        if args.dry_run:
            return OK
        if getattr(args, "wait", False):
            return await wait.until_over(session, terminal, BY_NAME[obj["kind"]].plural, made, args.timeout, made=True)
        if not args.output:
            terminal.note(look(made))
    return OK


def in_namespace(obj: Object, namespace: str, there: Sequence[Object], *, named: bool) -> Object:
    """*obj* in *namespace*. Unless the user has *named* it, under a name that none of its kind has: what is said of it
    before it is made names it.
    """
    kind, metadata = obj["kind"], obj["metadata"] | {"namespace": namespace}
    taken = {one["metadata"]["name"] for one in there if one["kind"] == kind}
    numbered = (metadata["name"] if number < 2 else resources.numbered(metadata["name"], number) for number in count(1))
    name = metadata["name"] if named or BY_NAME[kind].is_schedule else next(one for one in numbered if one not in taken)
    return obj | {"metadata": metadata | {"name": name}}


def _dry(args: argparse.Namespace, terminal: Terminal, obj: Object) -> None:
    """No cluster is asked: the Repository is assumed to exist."""
    lookup = Objects([], args.namespace or known_namespace(args) or "default", assumed=[args.repository])
    judge(obj, lookup, None)
    terminal.say(output.formatted(obj, args.output or "yaml"))


def judge(
    obj: Object,
    lookup: Objects,
    terminal: Terminal | None,
    defaults: OperatorDefaults = OperatorDefaults(),  # noqa: B008  it is immutable
) -> None:
    """By the webhook's own rules, before anything is asked or sent. *terminal* gets the warnings."""
    verdict = rules.validate(with_defaults(obj), old=None, lookup=lookup, now=datetime.now(UTC), defaults=defaults)
    if verdict.faults:
        told = [fault.told(lambda *_: True) for fault in verdict.faults]  # *lookup* has what the user may read
        raise refused(f"{obj['kind']} {obj['metadata']['name']}", told)
    if terminal is not None:
        for warning in verdict.warnings:
            terminal.note(f"note: {warning}")


async def _create(session: Session, args: argparse.Namespace, obj: Object) -> Object:
    path = paths.of(BY_NAME[obj["kind"]].plural, session.namespace)
    wanted = obj
    for number in range(2, _TRIES):
        try:
            made: Object = await session.client.request("POST", path, body=wanted, params=params(dry=args.dry_run))
        except errors.Conflict:
            if args.name or BY_NAME[obj["kind"]].is_schedule:
                raise
            wanted = resources.renamed(obj, number)
        else:
            made["metadata"].pop("managedFields", None)
            return made
    raise refused(
        f"{obj['kind']} {obj['metadata']['name']}",
        ["the name is taken, and so are the next ones; choose one with --name"],
    )


def params(*, dry: object = False) -> dict[str, str]:
    """Of a request that changes something; with *dry* the API server only checks it."""
    return {"fieldManager": names.FIELD_MANAGER} | ({"dryRun": "All"} if dry else {})


def answer(made: Object, args: argparse.Namespace) -> str:
    if args.output:
        return output.formatted(made, args.output)
    how = DRY_RUN if args.dry_run else " created"
    return f"{made['kind']} {made['metadata']['name']}{how}"


def look(made: Object) -> str:
    kind = BY_NAME[made["kind"]]
    word, following = kind.word, "" if kind.is_schedule or kind.name == "Repository" else " --wait"
    return wait.again(word, made, following)
