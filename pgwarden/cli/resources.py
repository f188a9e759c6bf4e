"""The resource that a command stands for. Pure: words in, object out; nothing else is ever created."""

from __future__ import annotations

import argparse
import shlex
from datetime import UTC, datetime

import msgspec

from pgwarden.api import names
from pgwarden.api.faults import Fault
from pgwarden.api.objects import Object
from pgwarden.cli import job_options
from pgwarden.cli.errors import refused
from pgwarden.pgbackrest.option_table import Command
from pgwarden.pgbackrest.user_options import ParsedOptions, parse_options
from pgwarden.storages import NAMES


def backup(args: argparse.Namespace, now: datetime) -> Object:
    options = options_of("--backup-opts", args.backup_opts, "backup", "Backup")
    spec: Object = {"type": options.type or args.pgbackrest_backup_type or "incr"}
    spec |= job_options.without_nulls(job_options.spec(args))
    return resource("Backup", args, args.name or _stamped(args.repository, now), spec | _given(args, options))


def schedule(args: argparse.Namespace) -> Object:
    options = options_of("--schedule-opts", args.schedule_opts, "backup", "BackupSchedule")
    kind = options.type or args.pgbackrest_backup_type or "incr"
    spec: Object = {"schedule": args.schedule, "timeZone": args.timezone or "UTC", "type": kind}
    spec |= _given(args, options)
    if args.spread:
        spec["spread"] = args.spread
    spec |= job_options.without_nulls(job_options.spec(args))
    if args.suspend:
        spec["suspend"] = True
    return resource("BackupSchedule", args, args.name or f"{names.short(args.repository, 52)}-{kind}", spec)


def restore(args: argparse.Namespace, now: datetime) -> Object:
    options = options_of("--backup-opts", _without_time(args), "restore", "Restore")
    spec: Object = {}
    point = target(args)
    if point:
        spec["target"] = point
    for field, value in (
        ("targetTimeline", args.target_timeline),
        ("set", args.set),
        ("repoTargetTime", args.repo_target_time),
        ("volumeClaim", args.volume_claim),
        ("image", args.image),
    ):
        if value:
            spec[field] = value
    spec |= _in_place(args) | _given(args, options)
    return resource("Restore", args, args.name or _stamped(args.repository, now), spec)


def undo(args: argparse.Namespace) -> Object:
    options = options_of("--backup-opts", args.backup_opts, "restore", "Restore")
    spec = {"undo": args.restore} | _in_place(args) | _given(args, options)
    return resource("Restore", args, args.name or f"{names.short(args.restore, 55)}-undo", spec)


def _in_place(args: argparse.Namespace) -> Object:
    """What a Restore may be told, whichever point it goes to."""
    volume = {"storageClassName": args.storage_class, "size": args.pvc_size}
    wanted = {key: value for key, value in volume.items() if value}
    spec: Object = {"newVolume": wanted} if wanted else {}
    if args.delete_old_volume:
        spec["keepOldVolume"] = False
    if args.reenable_autofail:
        spec["reenableAutofail"] = True
    if args.recovery_timeout is not None:
        spec["recoveryTimeoutSeconds"] = args.recovery_timeout
    return spec


def renamed(obj: Object, number: int) -> Object:
    """The same under the next name, where somebody made one in the same second."""
    return obj | {"metadata": obj["metadata"] | {"name": numbered(obj["metadata"]["name"], number)}}


def numbered(name: str, number: int) -> str:
    return f"{names.short(name, 60)}-{number}"


def resource(kind: str, args: argparse.Namespace, name: str, spec: Object) -> Object:
    metadata = {"name": name} | ({"namespace": args.namespace} if args.namespace else {})
    repository = {"repository": args.repository}
    return {"apiVersion": names.API_VERSION, "kind": kind, "metadata": metadata, "spec": repository | spec}


def _stamped(repository: str, now: datetime) -> str:
    return f"{names.short(repository, 40)}-{now.astimezone(UTC):%Y%m%d-%H%M%S}"


def _given(args: argparse.Namespace, options: ParsedOptions) -> Object:
    given: Object = {}
    if args.pgbackrest_storage_type:
        given["storage"] = args.pgbackrest_storage_type
    if options.arguments:
        given["options"] = quoted(options)
    return given


def quoted(options: ParsedOptions) -> list[str]:
    """As spec.options has them: where the webhook, which splits as a shell does, would take one for two."""
    return [shlex.quote(argument) for argument in options.arguments]


def options_of(flag: str, text: str, command: Command, kind: str) -> ParsedOptions:
    if not text.strip():
        return ParsedOptions()
    parsed, faults = parse_options([text], command=command, storages=NAMES, field=flag)
    if faults:
        raise refused(kind, [_of_flag(fault, flag) for fault in faults])
    return parsed


def _of_flag(fault: Fault, flag: str) -> Fault:
    return msgspec.structs.replace(fault, field=flag)


def _without_time(args: argparse.Namespace) -> str:
    """The seed's users write --backup-opts="--type=time" beside --pitr-target: it says the same twice."""
    text = str(args.backup_opts)
    if not args.pitr_target:
        return text
    try:
        words = shlex.split(text)
    except ValueError:
        return text
    return shlex.join([word for word in words if word != "--type=time"])


def target(args: argparse.Namespace) -> Object:
    values = {
        "time": args.pitr_target,
        "lsn": args.target_lsn,
        "xid": args.target_xid,
        "name": args.target_name,
        "immediate": args.immediate,
    }
    return {kind: value for kind, value in values.items() if value}
