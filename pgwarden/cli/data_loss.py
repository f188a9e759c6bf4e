"""What a Restore will do and take away, said before the question and by --plan. Pure.

Only what the objects prove is said: the person at the prompt must be able to believe every line.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pgwarden.api.objects import Object
from pgwarden.api.quantity import size
from pgwarden.api.reading import get, objects
from pgwarden.cli import prospect
from pgwarden.cli.output import clock, count, moment, row, span
from pgwarden.cli.prospect import Around, Prospect
from pgwarden.forecast import loss
from pgwarden.forecast.forecast import Forecast

_QUANTITY = {"exactly": "", "about": "about ", "atMost": "at most "}


def of_restore(
    restore: Object, repository: Object, now: datetime, cluster: Object | None = None, around: Around | None = None
) -> list[str]:
    """*cluster* is the PostgresCluster of the Repository, where pgwarden runs it."""
    return lines(restore, repository, prospect.of(restore, repository, now, around or Around()), cluster)


def lines(restore: Object, repository: Object, found: Prospect, cluster: Object | None) -> list[str]:
    copy = [*row("begins with", _begins(found)), *row("copies", *_copies(found.forecast)), *row("takes", _takes(found))]
    copy += row("recoverable", *([] if found.spec.repo_target_time else _windows(repository)))
    if found.spec.volume_claim:
        return [_title(found, repository), *row("lost", found.forecast.lost), *copy]
    return [
        _title(found, repository),
        *row("lost", *_wrapped(found.forecast.lost)),
        *copy,
        *row("deleted", _replicas(cluster)),
        *row("downtime", "seconds: PostgreSQL is stopped when the new volume is recovered, and serves until then"),
        *row("old data", *_old_data(restore, found)),
        *row("afterwards", "a new full backup is taken", *(_autofail(cluster, found) if cluster else ())),
    ]


def _title(found: Prospect, repository: Object) -> str:
    pods = [str(pod.get("name")) for pod in objects(repository, "status", "pods")]
    whose = f" (pod{'s' if len(pods) > 1 else ''} {', '.join(pods)})" if pods else ""
    point = loss.point(found.spec, found.before)
    name = get(repository, str, "metadata", "name")
    if found.spec.volume_claim:
        return f"This restores Repository {name} to {point} into a new claim {found.new_claim}."
    verb, goal = ("brings", f"back to {point}") if found.before else ("restores", f"to {point}")
    return f"This {verb} the PostgreSQL of Repository {name}{whose} {goal}."


def _wrapped(text: str) -> list[str]:
    """In two lines where it is long, at a semicolon."""
    head, mark, rest = text.partition("; ")
    return [head + mark.rstrip(), rest] if rest and len(text) > 100 else [text]


def _begins(found: Prospect) -> str:
    forecast = found.forecast
    begun = found.info.backup(forecast.set) if forecast.set else None
    if begun is None and found.spec.repo_target_time:
        return f"a backup set that the storage held at {found.spec.repo_target_time}, found when the Restore begins"
    if begun is None:
        return "a backup set that is found when the Restore begins: the Repository's status lists too few"
    ended = clock(begun.stop)
    return f"backup {forecast.set} ({forecast.type}, storage {forecast.storage}, ended {ended})"


def _copies(forecast: Forecast) -> list[str]:
    if forecast.copy_bytes is None:
        return []
    wal = ""
    if forecast.wal_segments is not None:
        how = _QUANTITY.get(forecast.wal_is, "")
        wal = f", then replays {how}{count(forecast.wal_segments, 'WAL segment')} ({size(forecast.wal_bytes)})"
    room = f"needs at most {size(forecast.room_bytes)} on the new volume"
    if forecast.claim_bytes is not None:
        room += f", which has {size(forecast.claim_bytes)}"
    if forecast.is_tight:
        room += ": TOO SMALL; give a larger one with --pvc-size"
    return [f"{size(forecast.copy_bytes)}{wal}", room]


def _takes(found: Prospect) -> str:
    seconds = found.forecast.seconds
    if seconds is None:
        return "not known: no restore of this Repository has measured it yet" if found.forecast.set else ""
    by = f"by {count(found.pace.of, 'earlier restore')}"
    return f"about {span(timedelta(seconds=max(1, seconds)))} until PostgreSQL is stopped, {by}"


def _old_data(restore: Object, found: Prospect) -> list[str]:
    if not found.spec.keep_old_volume:
        return ["DELETED once the restore has succeeded (--delete-old-volume). The restore CANNOT be undone"]
    name = restore["metadata"]["name"]
    undo = f"to undo it: kubectl pgwarden undo {name}"
    if found.kept_claim:
        return [f"kept as claim {found.kept_claim}", undo]
    return [f"kept in a claim that status.keptClaim of Restore {name} will name", undo]


def _replicas(cluster: Object | None) -> str:
    number = (get(cluster, int, "spec", "instances", "replicas") or 1) - 1 if cluster else 0
    return f"{count(number, 'replica')} with {'their' if number > 1 else 'its'} data" if number else ""


def _autofail(cluster: Object, found: Prospect) -> tuple[str, ...]:
    if found.spec.reenable_autofail:
        return ("then autofail is turned on and replicas are made again (--reenable-autofail)",)
    turn = f"kubectl pgwarden update cluster {cluster['metadata']['name']} --autofail=true"
    return "autofail stays off and there are no replicas until you turn it on:", turn


def _windows(repository: Object) -> list[str]:
    return [
        f"{clock(moment(entry.get('earliest')))} to {clock(moment(entry.get('latest')))} "
        f"from storage {entry.get('storage')}"
        for entry in objects(repository, "status", "recoveryWindow")
    ]
