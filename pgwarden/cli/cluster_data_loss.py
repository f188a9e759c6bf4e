"""What the deletion of a PostgresCluster, or of some of its instances, takes away. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from pgwarden.api import names
from pgwarden.cli.output import clock, moment, span
from pgwarden.rules import backup_sets
from pgwarden.rules.common import condition, get, objects

Object = dict[str, Any]


def of_scale(cluster: Object, wanted: int) -> list[str]:
    """Which instances go, as the controller chooses them: the highest numbers, never the primary."""
    now = get(cluster, int, "spec", "instances", "replicas") or 1
    if wanted >= now:
        return []
    primary = get(cluster, str, "status", "primary")
    listed = sorted((str(one.get("name")) for one in objects(cluster, "status", "instances")), key=_number)
    going = [name for name in reversed(listed) if name != primary][: max(0, len(listed) - wanted)]
    which = f" ({', '.join(sorted(going, key=_number))})" if going else ""
    return [f"{now - wanted} instances go, each with its volume{which}; the primary and the backups stay."]


def _number(name: str) -> int:
    digits = name.rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0


def of_deletion(cluster: Object, repository: Object | None, operations: Iterable[Object], now: datetime) -> list[str]:
    name = cluster["metadata"]["name"]
    spec = get(cluster, dict, "spec", "instances") or {}
    count = spec.get("replicas") or 1
    size = (spec.get("storage") or {}).get("size", "10Gi")
    return [
        f"This deletes PostgresCluster {name}, {get(cluster, str, 'status', 'phase') or 'Pending'}.",
        *_row(
            "DELETED",
            f"{count} instance{'s' if count > 1 else ''} with {'their' if count > 1 else 'its'} data "
            f"(volume{'s' if count > 1 else ''} of {size}), Services, and Secret {names.cluster_credentials(name)}",
        ),
        *_row("lost", _lost(repository, now)),
        *(line for one in _running(operations) for line in _row("stopped", one)),
        *_row("stays", _stays(cluster, repository)),
        *_row("to have it", f"later: a Repository named {name} with the same storage, and a Restore or a clone of it"),
    ]


def _row(head: str, text: str) -> list[str]:
    return [f"  {head + ':':<13}{text}"] if text else []


def _lost(repository: Object | None, now: datetime) -> str:
    latest = max(
        filter(None, (moment(one.get("latest")) for one in objects(repository, "status", "recoveryWindow"))),
        default=None,
    )
    if repository is None or latest is None:
        return "EVERYTHING: there is no finished backup"
    waiting = get(repository, int, "status", "unarchivedWAL")
    queue = f"; {waiting} WAL segments wait to be archived" if waiting else ""
    broken = "" if condition(repository, "Archiving") == "True" else ", and archiving does not work at the moment"
    since = f"{clock(latest)} ({span(now - latest)} ago)"
    return f"what was committed after {since} and is not archived by then{queue}{broken}"


def _running(operations: Iterable[Object]) -> Iterator[str]:
    for one in operations:
        if get(one, str, "status", "phase") not in {"Completed", "Failed"}:
            yield f"{one['kind']} {one['metadata']['name']}, which is {get(one, str, 'status', 'phase') or 'Pending'}"


def _stays(cluster: Object, repository: Object | None) -> str:
    name = cluster["metadata"]["name"]
    kinds = (get(cluster, str, "spec", "repository", "storageType") or "local").split(",")
    held = backup_sets.of(repository)
    least = "at least " if held.some and held.count() is None else ""
    sets = (
        f"{least}{held.least} backup set{'' if held.least == 1 else 's'}" if repository is not None else "the backups"
    )
    places = []
    if "local" in kinds:
        places.append(f"claim {names.repo_claim(name)}")
    if "s3" in kinds:
        bucket = get(cluster, str, "spec", "repository", "s3", "bucket")
        keys = get(cluster, str, "spec", "repository", "s3", "credentialsSecretRef", "name")
        places.append((f"bucket {bucket}" if bucket else "the bucket") + (f", with Secret {keys}" if keys else ""))
    return f"{sets} and their WAL: {' and '.join(places)}"
