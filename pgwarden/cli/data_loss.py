"""What a restore in place takes away, said before the question. Pure.

Only what the objects prove is said: the person at the prompt must be able to believe every line.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pgwarden.api.objects import Object
from pgwarden.api.reading import condition, get, objects
from pgwarden.api.target import TargetError, parse_lsn, parse_time, timeline_number, timeline_of_segment
from pgwarden.cli.output import clock, count, moment, row, span
from pgwarden.rules import backup_sets
from pgwarden.rules.backup_sets import Held


def of_restore(restore: Object, repository: Object, now: datetime, cluster: Object | None = None) -> list[str]:
    """*cluster* is the PostgresCluster of the Repository, where pgwarden runs it."""
    spec = restore["spec"]
    pods = [str(pod.get("name")) for pod in objects(repository, "status", "pods")]
    whose = f" (pod{'s' if len(pods) > 1 else ''} {', '.join(pods)})" if pods else ""
    return [
        f"This restores the PostgreSQL of Repository {spec['repository']}{whose} to {_point(spec)}.",
        *row("lost", _lost(spec, repository, now)),
        *row("begins with", _begins(spec, repository)),
        *row("recoverable", *_windows(repository)),
        *row("deleted", _replicas(cluster)),
        *row("downtime", "from the end of the copy until recovery reaches the target"),
        *row("old data", _old_data(restore)),
        *row("afterwards", "a new full backup is taken", *(_autofail(cluster) if cluster else ())),
    ]


def _old_data(restore: Object) -> str:
    if restore["spec"].get("keepOldVolume", True):
        name = restore["metadata"]["name"]
        return f"kept in a claim that status.keptClaim of Restore {name} will name. The restore can be undone"
    return "DELETED once the restore has succeeded (--delete-old-volume). The restore CANNOT be undone"


def _replicas(cluster: Object | None) -> str:
    number = (get(cluster, int, "spec", "instances", "replicas") or 1) - 1 if cluster else 0
    return f"{count(number, 'replica')} with {'their' if number > 1 else 'its'} data" if number else ""


def _autofail(cluster: Object) -> tuple[str, str]:
    turn = f"kubectl pgwarden update cluster {cluster['metadata']['name']} --autofail=true"
    return "autofail stays off and there are no replicas until you turn it on:", turn


def _point(spec: Object) -> str:
    target = spec.get("target") or {}
    if "time" in target:
        return clock(_time(target)) or str(target["time"])
    for kind, title in (("lsn", "WAL position"), ("xid", "transaction"), ("name", "restore point")):
        if kind in target:
            return f"{title} {target[kind]}"
    if target.get("immediate"):
        return "the end of the backup itself"
    timeline = str(spec.get("targetTimeline") or "latest")
    return "the latest WAL" if timeline == "latest" else f"the end of {_which(timeline)}"


def _which(timeline: str) -> str:
    return "the backup's own timeline" if timeline == "current" else f"timeline {timeline}"


def _lost(spec: Object, repository: Object, now: datetime) -> str:
    target = spec.get("target") or {}
    time = _time(target)
    if time is not None:
        return f"every transaction committed after {clock(time)}, that is in the last {span(now - time)}"
    if target.get("immediate"):
        return "every transaction committed after the end of the backup"
    if target:
        return f"every transaction committed after {_point(spec)}"
    left = _left_behind(spec, repository)
    if left:
        return left
    waiting = get(repository, int, "status", "unarchivedWAL")
    queue = f"; {count(waiting, 'WAL segment')} not archived yet" if waiting else ""
    archiving = "" if condition(repository, "Archiving") == "True" else "; ARCHIVING IS NOT WORKING"
    return f"only transactions that cannot be archived before PostgreSQL stops{queue}{archiving}"


def _left_behind(spec: Object, repository: Object) -> str:
    """What the end of an earlier timeline leaves behind; empty where recovery follows the latest one."""
    wanted = str(spec.get("targetTimeline") or "latest")
    if wanted == "latest":
        return ""
    followed = timeline_number(wanted)
    if wanted == "current":
        begins = _first_set(spec, repository)
        followed = timeline_of_segment(begins.get("walStop")) if begins else None
    newest = [timeline_of_segment(one.get("lastWal")) for one in objects(repository, "status", "storages")]
    latest = max(filter(None, newest), default=None)
    if followed is not None and followed == latest:
        return ""
    ended = f"timeline {followed}" if followed is not None else "the backup's own timeline"
    now = f" (PostgreSQL is on timeline {latest})" if latest is not None else ""
    return f"every transaction committed since {ended} ended, at a restore or failover{now}"


def _time(target: Object) -> datetime | None:
    try:
        return parse_time(str(target["time"])) if "time" in target else None
    except TargetError:
        return None


def _begins(spec: Object, repository: Object) -> str:
    first = _first_set(spec, repository)
    if first is None:
        return ""
    ended = clock(moment(first.get("stopTime")))
    return f"backup {first.get('label')} ({first.get('type')}, storage {first.get('storage')}, ended {ended})"


def _first_set(spec: Object, repository: Object) -> Object | None:
    """The set that recovery begins with; None where the status does not tell.

    As the controller chooses: of the storages in their order the first that can be read and reaches the target, and
    in it the newest set before the target.
    """
    away = {one.get("name") for one in objects(repository, "status", "storages") if one.get("reachable") is False}
    for held in backup_sets.of(repository).of_storage(spec.get("storage")).held:
        if held.name in away and not spec.get("storage"):
            continue
        found = _newest_before(spec, held)
        if found is not None:
            return found | {"storage": held.name}
        if not held.whole:  # an older set than those that are listed may be the one
            return None
    return None


def _newest_before(spec: Object, held: Held) -> Object | None:
    target, label = spec.get("target") or {}, spec.get("set")
    time = _time(target)
    # Before a moment or position an unlisted set may be newer than the facts know: the listed are told without a gap.
    sets = list(held.listed) if time is not None or "lsn" in target else held.told
    if label and label != "latest":
        sets = [entry for entry in sets if entry.get("label") == label]
    if time is not None:
        sets = [entry for entry in sets if (stop := moment(entry.get("stopTime"))) and stop <= time]
    if "lsn" in target:
        sets = [entry for entry in sets if _lsn(entry.get("lsnStop")) <= _lsn(target["lsn"])]
    return next(iter(backup_sets.newest_first(sets)), None)


def _lsn(text: Any) -> int:
    try:
        return parse_lsn(str(text))
    except TargetError:
        return 0


def _windows(repository: Object) -> list[str]:
    return [
        f"{clock(moment(entry.get('earliest')))} to {clock(moment(entry.get('latest')))} "
        f"from storage {entry.get('storage')}"
        for entry in objects(repository, "status", "recoveryWindow")
    ]
