"""The RestoreDrill or RestoreDrillSchedule that a command stands for. Pure."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime

from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.cli import resources
from pgwarden.cli.errors import UsageError


def drill(args: argparse.Namespace, now: datetime) -> Object:
    stamped = f"{names.short(args.repository, 24)}-drill-{now.astimezone(UTC):%Y%m%d-%H%M%S}"
    return resources.resource("RestoreDrill", args, args.name or stamped, template(args))


def schedule(args: argparse.Namespace) -> Object:
    spec: Object = {"schedule": args.schedule, "timeZone": args.timezone or "UTC"}
    if args.spread:
        spec["spread"] = args.spread
    if args.suspend:
        spec["suspend"] = True
    name = args.name or f"{names.short(args.repository, 57)}-drill"
    return resources.resource("RestoreDrillSchedule", args, name, spec | {"template": template(args)})


def template(args: argparse.Namespace) -> Object:
    """A RestoreDrill's spec without its repository."""
    volume = {"storageClassName": args.storage_class, "size": args.pvc_size}
    found: Object = {
        "target": resources.target(args),
        "targetTimeline": args.target_timeline,
        "set": args.set,
        "storage": args.pgbackrest_storage_type,
        "newVolume": {key: value for key, value in volume.items() if value},
        "checks": checks(args.check or (), args.expect or ()),
        "activeDeadlineSeconds": args.deadline,
    }
    return {key: value for key, value in found.items() if value}


def checks(given: Iterable[str], expected: Iterable[str]) -> list[Object]:
    """`NAME=SQL` each, and what some of them are to print."""
    found = {}
    for text in given:
        name, sql = _pair("--check", text, 'NAME=SQL, such as --check "orders=SELECT count(*) > 0 FROM orders"')
        if name in found:
            raise UsageError(f"--check {name} is given twice; give each check a name of its own")
        found[name] = {"name": name, "sql": sql}
    for text in expected:
        name, value = _pair("--expect", text, "NAME=OUTPUT, such as --expect orders=42")
        if name not in found:
            raise UsageError(
                f"--expect {name}: there is no --check of that name; given are: {', '.join(found) or 'none'}"
            )
        found[name]["expect"] = value
    return list(found.values())


def _pair(flag: str, text: str, form: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise UsageError(f'{flag} "{text}" must be {form}')
    return name.strip(), value.strip()
