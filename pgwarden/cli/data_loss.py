"""What a restore in place takes away, said before it is asked for. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pgwarden.api.target import TargetError, parse_lsn, parse_time
from pgwarden.cli.output import clock, moment, span
from pgwarden.rules import backup_sets
from pgwarden.rules.common import condition, get, objects

Object = dict[str, Any]


def of_restore(restore: Object, repository: Object, now: datetime, cluster: Object | None = None) -> list[str]:
    """*cluster* is the PostgresCluster of the Repository, where pgwarden runs it."""
    spec = restore["spec"]
    target = spec.get("target") or {}
    pods = [str(pod.get("name")) for pod in objects(repository, "status", "pods")]
    whose = f" (pods {', '.join(pods)})" if pods else ""
    kept = spec.get("keepOldVolume", True)
    return [
        f"This puts the PostgreSQL cluster of Repository {spec['repository']}{whose} back to {_point(target)}.",
        *_row("lost", _lost(target, repository, now)),
        *_row("begins with", _begins(spec, target, repository)),
        *_row("reachable", _windows(repository)),
        *_row("deleted", _replicas(cluster)),
        *_row("stopped", "PostgreSQL, from the end of the copy until recovery has reached the target"),
        *_row(
            "old data",
            f"kept as claim CLAIM-before-{restore['metadata']['name']}: a wrong target can be undone"
            if kept
            else "DELETED once the restore has succeeded (--delete-old-volume): a wrong target cannot be undone",
        ),
        *_row("afterwards", "a new full backup is taken" + (_autofail(cluster) if cluster else "")),
    ]


def _replicas(cluster: Object | None) -> str:
    count = (get(cluster, int, "spec", "instances", "replicas") or 1) - 1 if cluster else 0
    return f"{count} replica{'s' if count > 1 else ''} with {'their' if count > 1 else 'its'} data" if count else ""


def _autofail(cluster: Object) -> str:
    turn = f"kubectl pgwarden update cluster {cluster['metadata']['name']} --autofail=true"
    return f"; autofail stays off, and there are no replicas, until {turn}"


def _row(head: str, text: str) -> list[str]:
    return [f"  {head + ':':<13}{text}"] if text else []


def _point(target: Object) -> str:
    if "time" in target:
        return clock(_time(target)) or str(target["time"])
    for kind, title in (("lsn", "WAL position"), ("xid", "transaction"), ("name", "restore point")):
        if kind in target:
            return f"{title} {target[kind]}"
    return "the end of the backup itself" if target.get("immediate") else "the latest WAL"


def _lost(target: Object, repository: Object, now: datetime) -> str:
    if not target:
        waiting = get(repository, int, "status", "unarchivedWAL")
        queue = f"; {waiting} WAL segments wait to be archived now" if waiting else ""
        archiving = (
            "" if condition(repository, "Archiving") == "True" else ", and archiving does not work at the moment"
        )
        return f"only what cannot be archived any more before PostgreSQL is stopped{queue}{archiving}"
    time = _time(target)
    if time is not None:
        return f"every transaction committed after {clock(time)}: those of the last {span(now - time)}"
    if target.get("immediate"):
        return "every transaction committed after the end of the backup"
    return f"every transaction committed after {_point(target)}"


def _time(target: Object) -> datetime | None:
    try:
        return parse_time(str(target["time"])) if "time" in target else None
    except TargetError:
        return None


def _begins(spec: Object, target: Object, repository: Object) -> str:
    """The newest backup set before the target, which is what pgBackRest takes; empty where that is not known."""
    there, time = backup_sets.of(repository).of_storage(spec.get("storage")), _time(target)
    # Before a moment or position another set may be the newest than the facts know of: among the listed it is not so.
    sets = there.newest_first if time is not None or "lsn" in target else there.told
    if spec.get("set") and spec["set"] != "latest":
        sets = [entry for entry in sets if entry.get("label") == spec["set"]]
    if time is not None:
        sets = [entry for entry in sets if (stop := moment(entry.get("stopTime"))) and stop <= time]
    if "lsn" in target:
        sets = [entry for entry in sets if _lsn(entry.get("lsnStop")) <= _lsn(target["lsn"])]
    if not sets:
        return ""
    newest = sets[0]
    return f"backup {newest.get('label')} ({newest.get('type')}, ended {clock(moment(newest.get('stopTime')))})"


def _lsn(text: Any) -> int:
    try:
        return parse_lsn(str(text))
    except TargetError:
        return 0


def _windows(repository: Object) -> str:
    said = []
    for entry in objects(repository, "status", "recoveryWindow"):
        latest = clock(moment(entry.get("latest")))
        said.append(f"{clock(moment(entry.get('earliest')))} to {latest} from storage {entry.get('storage')}")
    return "; ".join(said)
