"""What the deletion of a PostgresCluster, or of some of its instances, takes away. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import condition, get, objects
from pgwarden.cli.output import clock, count, moment, row, span
from pgwarden.rules import backup_sets


def of_scale(cluster: Object, wanted: int) -> list[str]:
    """Which instances go, as the controller chooses them: the highest numbers, never the primary."""
    now = get(cluster, int, "spec", "instances", "replicas") or 1
    if wanted >= now:
        return []
    primary = get(cluster, str, "status", "primary")
    listed = sorted((str(one.get("name")) for one in objects(cluster, "status", "instances")), key=_number)
    going = [name for name in reversed(listed) if name != primary][: max(0, len(listed) - wanted)]
    # The status may list fewer instances than the spec asks for.
    among = "" if len(going) == now - wanted else "among them "
    which = f" ({among}{', '.join(sorted(going, key=_number))})" if going else ""
    removed = f"{count(now - wanted, 'instance')} will be removed, with {_its(now - wanted, 'volume')}{which}"
    return [f"{removed}; the primary and the backups stay."]


def notes_of_growth(cluster: Object, wanted: int) -> list[str]:
    now = get(cluster, int, "spec", "instances", "replicas") or 1
    if wanted <= now or get(cluster, bool, "spec", "autofail") is not False:
        return []
    turn = f"kubectl pgwarden update cluster {cluster['metadata']['name']} --autofail=true"
    return [f"note: autofail is off, and new replicas are created only while it is on: {turn}"]


def _its(number: int, noun: str) -> str:
    return f"its {noun}" if number == 1 else f"their {noun}s"


def _number(name: str) -> int:
    digits = name.rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0


def of_deletion(cluster: Object, repository: Object | None, operations: Iterable[Object], now: datetime) -> list[str]:
    name = cluster["metadata"]["name"]
    spec = get(cluster, dict, "spec", "instances") or {}
    instances = spec.get("replicas") or 1
    size = (spec.get("storage") or {}).get("size", "10Gi")
    volumes = f"{_its(instances, 'volume')} ({size}{' each' if instances > 1 else ''})"
    return [
        f"This deletes PostgresCluster {name}, which is {get(cluster, str, 'status', 'phase') or 'Pending'}.",
        *row(
            "DELETED",
            f"{count(instances, 'instance')} with all data on {volumes}, Services, "
            f"and Secret {names.cluster_credentials(name)}",
        ),
        *row("lost", _lost(repository, now)),
        *(line for one in _running(operations) for line in row("stopped", one)),
        *row("stays", _stays(cluster, repository)),
        *row("to recover", "apply the same manifest with spec.repository.onExistingBackups: Recover"),
    ]


def _lost(repository: Object | None, now: datetime) -> str:
    latest = max(
        filter(None, (moment(one.get("latest")) for one in objects(repository, "status", "recoveryWindow"))),
        default=None,
    )
    if repository is None or latest is None:
        return "EVERYTHING: there is no finished backup"
    waiting = get(repository, int, "status", "unarchivedWAL")
    queue = f"; {count(waiting, 'WAL segment')} not archived yet" if waiting else ""
    broken = "" if condition(repository, "Archiving") == "True" else "; ARCHIVING IS NOT WORKING"
    since = f"{clock(latest)} ({span(now - latest)} ago)"
    return f"transactions committed after {since}, unless they are archived before the deletion{queue}{broken}"


def _running(operations: Iterable[Object]) -> Iterator[str]:
    for one in operations:
        if get(one, str, "status", "phase") not in {"Completed", "Failed"}:
            yield f"{one['kind']} {one['metadata']['name']} ({get(one, str, 'status', 'phase') or 'Pending'})"


def _stays(cluster: Object, repository: Object | None) -> str:
    name = cluster["metadata"]["name"]
    spec = get(cluster, dict, "spec", "repository") or {}
    held = backup_sets.of(repository)
    least = "at least " if held.some and held.count() is None else ""
    sets = f"{least}{count(held.least, 'backup set')}" if repository is not None else "the backups"
    found = [storages.BY_NAME[one] for one in storages.names_of({"spec": spec})]
    places = [storage.left_behind(name, spec.get(storage.name)) for storage in found]
    return f"{sets} and {'its' if held.least == 1 else 'their'} WAL in {' and in '.join(places)}"
