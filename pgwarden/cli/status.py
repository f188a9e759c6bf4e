"""status: everything that is protected, at a glance. Exit code 0: all is well; 1: something is wrong."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from pgwarden.api.target import rfc3339
from pgwarden.cli import output
from pgwarden.cli.errors import OK, WRONG, unknown
from pgwarden.cli.output import clock, moment, span
from pgwarden.cli.protection import Protection, judge
from pgwarden.cli.session import connect
from pgwarden.cli.terminal import Terminal


async def run(args: argparse.Namespace, terminal: Terminal) -> int:
    now = datetime.now(UTC)
    async with connect(args) as session:
        found = judge(await session.everything("" if args.all_namespaces else None), now)
        missing = not found and not args.all_namespaces and await session.is_namespace_missing()
        where = "the cluster" if args.all_namespaces else f"namespace {session.namespace}"
        if args.repository:
            names = [one.repository for one in found]
            found = [one for one in found if one.repository == args.repository]
            if not found:
                raise unknown("Repository", args.repository, session.namespace, names)
    if args.output == "json":
        terminal.say(output.as_json([as_data(one) for one in found]))
    elif not found:
        terminal.say(f"nothing is protected: {where} {'does not exist' if missing else 'has no Repository'}")
    else:
        terminal.say("\n\n".join("\n".join(as_text(one, now, with_namespace=args.all_namespaces)) for one in found))
    return OK if found and not any(one.wrong for one in found) else WRONG


def as_text(one: Protection, now: datetime, *, with_namespace: bool = False) -> list[str]:
    name = f"{one.namespace}/{one.repository}" if with_namespace else one.repository
    lines = [f"{name}: {_headline(one, now)}"]
    if one.cluster:
        lines.append(f"  cluster      {one.cluster}")
    lines += [f"  storage      {text}" for text in one.storages]
    if one.last:
        lines.append(
            f"  last backup  {one.last.get('type')} {one.last.get('label')}, {clock(moment(one.last.get('stopTime')))}"
        )
    if one.upcoming:
        lines.append(f"  next backup  {clock(one.upcoming)}")
    if one.proven:
        lines.append(f"  proven       {one.proven}")
    lines += [f"  WRONG        {text}" for text in one.wrong]
    lines += [f"  note         {text}" for text in one.notes]
    return lines


def _headline(one: Protection, now: datetime) -> str:
    """It says "protected" only where nothing is wrong."""
    if one.since is None or one.until is None or one.foreign:
        return "NOT PROTECTED"
    how = "protected since" if one.protected else "AT RISK, recoverable from"
    since = f"{how} {clock(one.since)} ({span(now - one.since)})"
    return f"{since}, up to {clock(one.until)} ({span(now - one.until)} ago)"


def as_data(one: Protection) -> dict[str, Any]:
    return {
        "namespace": one.namespace,
        "repository": one.repository,
        "protected": one.protected,
        "since": rfc3339(one.since) if one.since else None,
        "until": rfc3339(one.until) if one.until else None,
        "storages": list(one.storages) or None,
        "lastBackup": one.last or None,
        "cluster": one.cluster or None,
        "lastProof": one.proof or None,
        "nextBackup": rfc3339(one.upcoming) if one.upcoming else None,
        "wrong": list(one.wrong),
        "notes": list(one.notes),
    }
