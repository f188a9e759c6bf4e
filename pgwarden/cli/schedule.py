"""update schedule: changes that one resource."""

from __future__ import annotations

import argparse

from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.cli import job_options, output, resources, submit
from pgwarden.cli.errors import OK, UsageError, unknown
from pgwarden.cli.operate import settle
from pgwarden.cli.session import connect, names_of
from pgwarden.cli.terminal import Terminal
from pgwarden.kube import paths
from pgwarden.kube.client import MERGE

_PLURAL = "backupschedules"


async def update(args: argparse.Namespace, terminal: Terminal) -> int:
    settle(args)
    wanted = change(args)
    if args.dry_run == "client":
        terminal.say(output.formatted(wanted, args.output or "yaml"))
        return OK
    async with connect(args) as session:
        there = await session.find(_PLURAL, args.name)
        if there is None:
            raise unknown("BackupSchedule", args.name, session.namespace, names_of(await session.all(_PLURAL)))
        body = {"metadata": {"uid": there["metadata"]["uid"]}, "spec": wanted["spec"]}
        path, how = paths.of(_PLURAL, session.namespace, args.name), submit.params(dry=args.dry_run)
        changed: Object = await session.client.request("PATCH", path, body=body, content_type=MERGE, params=how)
        changed["metadata"].pop("managedFields", None)
    if args.output:
        terminal.say(output.formatted(changed, args.output))
        return OK
    same = changed.get("spec") == there.get("spec")
    said = "is so already" if same else "changed"
    terminal.say(f"BackupSchedule {args.name} {said}{submit.DRY_RUN if args.dry_run else ''}")
    if not args.dry_run:
        terminal.note(submit.look(changed))
    return OK


def change(args: argparse.Namespace) -> Object:
    """What is changed of it and nothing else: a merge patch. UsageError where that is nothing."""
    options = resources.options_of("--schedule-opts", args.schedule_opts, "backup", "BackupSchedule")
    none = job_options.NONE
    spec: Object = {
        field: value
        for field, value in (
            ("schedule", args.schedule),
            ("timeZone", args.timezone),
            ("type", options.type or args.pgbackrest_backup_type),
            ("spread", args.spread),
        )
        if value
    }
    if args.spread == none:
        spec["spread"] = None
    if options.arguments:
        spec["options"] = resources.quoted(options)
    if args.suspend:
        spec["suspend"] = args.suspend == "true"
    spec |= job_options.spec(args)
    if not spec:
        raise UsageError("nothing to change; give --schedule, --suspend, --deadline or another option: see --help")
    metadata = {"name": args.name} | ({"namespace": args.namespace} if args.namespace else {})
    return {"apiVersion": names.API_VERSION, "kind": "BackupSchedule", "metadata": metadata, "spec": spec}
