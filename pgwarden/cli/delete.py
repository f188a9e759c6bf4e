"""delete schedule, delete drillschedule and delete backup."""

from __future__ import annotations

import argparse

from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.registry import BY_PLURAL, BY_WORD
from pgwarden.cli.errors import OK, CliError, unknown
from pgwarden.cli.lookup import Objects
from pgwarden.cli.operate import sure
from pgwarden.cli.session import Session, connect, names_of
from pgwarden.cli.terminal import Terminal
from pgwarden.kube import paths
from pgwarden.rules.deletion import of_backup


async def run(args: argparse.Namespace, terminal: Terminal) -> int:
    plural = BY_WORD[args.what].plural
    async with connect(args) as session:
        chosen = [await _named(session, plural, name) for name in dict.fromkeys(args.name)]
        for obj in chosen:
            with_set = plural == "backups" and (args.expire_set or _expires(obj))
            said = await _of_set(session, obj) if with_set else consequence(obj)
            terminal.note(f"{obj['kind']} {obj['metadata']['name']}: {said}")
        if args.dry_run:
            terminal.note("dry run: nothing was deleted")
            return OK
        sure(args, terminal, f"Delete {'it' if len(chosen) == 1 else f'these {len(chosen)}'}? [y/N] ", "y")
        for obj in chosen:
            name = obj["metadata"]["name"]
            if plural == "backups" and args.expire_set and not _expires(obj):
                await _make_expire(session, obj)
            gone = await session.client.delete(paths.of(plural, session.namespace, name), uid=obj["metadata"]["uid"])
            terminal.say(f"{obj['kind']} {name} {'deleted' if gone else 'was already deleted'}")
    return OK


async def _named(session: Session, plural: str, name: str) -> Object:
    found = await session.find(plural, name)
    if found is not None:
        return found
    there = await session.all(plural)
    own = [obj["metadata"]["name"] for obj in there if obj.get("spec", {}).get("repository") == name]
    if own:
        kind = BY_PLURAL[plural].name
        raise CliError(f"{name} is a Repository; name one of its {kind}s: {', '.join(own[:20])}", code=1)
    raise unknown(BY_PLURAL[plural].name, name, session.namespace, names_of(there))


def _expires(backup: Object) -> bool:
    return (backup.get("spec") or {}).get("deletionPolicy") == "Delete"


async def _of_set(session: Session, backup: Object) -> str:
    """The webhook's own words on what goes with it."""
    repository = await session.find("repositories", backup["spec"]["repository"])
    lookup = Objects([repository] if repository else [], session.namespace)
    judged = backup | {"spec": backup["spec"] | {"deletionPolicy": "Delete"}}
    return "; ".join(of_backup(judged, lookup=lookup).warnings) or consequence(backup)


async def _make_expire(session: Session, backup: Object) -> None:
    """With the finalizer: the deletion might come before the controller puts it on."""
    metadata = backup["metadata"]
    finalizers = [*metadata.get("finalizers", []), names.FINALIZER_EXPIRE]
    change = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"], "finalizers": finalizers}
    path = paths.of("backups", session.namespace, metadata["name"])
    await session.client.merge(path, {"metadata": change, "spec": {"deletionPolicy": "Delete"}})


def consequence(obj: Object) -> str:
    """What its deletion means."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if obj["kind"] == "BackupSchedule":
        return f"it takes no more {spec.get('type')} backups of Repository {spec.get('repository')}; existing ones stay"
    if obj["kind"] == "RestoreDrillSchedule":
        return f"it makes no more drills of Repository {spec.get('repository')}; what was proven stays"
    phase = status.get("phase") or "Pending"
    if phase == "Running":
        return "it is running and will be stopped; what it has copied is unusable by itself"
    if phase == "Pending":
        return "it has not started and never will"
    kept = (
        f"backup set {status['label']} stays in the repository until retention removes it"
        if status.get("label")
        else ""
    )
    return f"this {phase} Backup is deleted" + (f"; {kept}" if kept else "")
