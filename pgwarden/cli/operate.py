"""Commands that do nothing but create one resource; and what all commands that create one ask."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from pgwarden.cli import drill_resources, resources
from pgwarden.cli.errors import UNABLE, WRONG, CliError
from pgwarden.cli.session import known_namespace
from pgwarden.cli.submit import submit
from pgwarden.cli.terminal import Terminal


async def backup(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    return await submit(args, terminal, resources.backup(args, datetime.now(UTC)))


async def create_schedule(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    return await submit(args, terminal, resources.schedule(args))


async def create_drill(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    return await submit(args, terminal, drill_resources.drill(args, datetime.now(UTC)))


async def create_drill_schedule(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    return await submit(args, terminal, drill_resources.schedule(args))


def sure(args: argparse.Namespace, terminal: Terminal, question: str, answer: str) -> None:
    """CliError unless --yes was given or *answer* is typed."""
    if args.yes:
        return
    if not terminal.interactive:
        raise CliError("no terminal to ask on; give --yes to continue, or --dry-run to change nothing", code=UNABLE)
    if terminal.ask(question).lower() != answer.lower():
        raise CliError("nothing was changed", code=WRONG)


def settle(args: argparse.Namespace) -> None:
    """The namespace goes into the resource, so that a dry run prints where it would go."""
    args.namespace = known_namespace(args)
