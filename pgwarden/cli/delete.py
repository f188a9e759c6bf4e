"""delete schedule and delete backup."""

from __future__ import annotations

import argparse
from typing import Any

from pgwarden.cli.operate import sure
from pgwarden.cli.problem import OK, CliError, unknown
from pgwarden.cli.session import KINDS, Session, connect, names_of
from pgwarden.cli.terminal import Terminal
from pgwarden.kube import paths

Object = dict[str, Any]
_PLURALS = {"schedule": "backupschedules", "backup": "backups"}


async def run(args: argparse.Namespace, terminal: Terminal) -> int:
    plural = _PLURALS[args.what]
    async with connect(args) as session:
        chosen = [await _named(session, plural, name) for name in dict.fromkeys(args.name)]
        for obj in chosen:
            terminal.note(f"{obj['kind']} {obj['metadata']['name']}: {consequence(obj)}")
        if args.dry_run:
            terminal.note("dry run: nothing was deleted")
            return OK
        sure(args, terminal, f"Delete {'it' if len(chosen) == 1 else f'these {len(chosen)}'}? [y/N] ", "y")
        for obj in chosen:
            name = obj["metadata"]["name"]
            gone = await session.client.delete(paths.of(plural, session.namespace, name), uid=obj["metadata"]["uid"])
            terminal.say(f"{obj['kind']} {name} {'deleted' if gone else 'was gone already'}")
    return OK


async def _named(session: Session, plural: str, name: str) -> Object:
    found = await session.find(plural, name)
    if found is not None:
        return found
    there = await session.all(plural)
    own = [obj["metadata"]["name"] for obj in there if obj.get("spec", {}).get("repository") == name]
    if own:
        raise CliError(f"{name} is a Repository, not a {KINDS[plural]}; it has {', '.join(own[:20])}", code=1)
    raise unknown(KINDS[plural], name, session.namespace, names_of(there))


def consequence(obj: Object) -> str:
    """What its deletion means."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if obj["kind"] == "BackupSchedule":
        return f"Repository {spec.get('repository')} gets no more {spec.get('type')} backups of it; those there stay"
    phase = status.get("phase") or "Pending"
    if phase == "Running":
        return "it is running and will be stopped; what it copied so far is of no use by itself"
    if phase == "Pending":
        return "it has not begun and will not"
    kept = (
        f"backup set {status['label']} stays in the repository until retention removes it"
        if status.get("label")
        else ""
    )
    return f"the record of this {phase} backup goes" + (f"; {kept}" if kept else "")
