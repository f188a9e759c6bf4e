"""Metrics of what has ended: Backups and Restores, runs of schedules. Counted where a status turns, once each.

Labels: a Repository's, which are as many as there are Repositories, and words of ours. A deleted one's go with it, and
what ends after it is not counted.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime

from prometheus_client import Counter, Histogram

from controller.runtime.of_objects import IsThere, OfObjects
from pgwarden.api import records
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects
from pgwarden.api.registry import BY_PLURAL

_REPOSITORY = ["namespace", "repository"]
OPERATIONS = Counter(
    "pgwarden_operations",
    "Backups and Restores that ended, by type and outcome.",
    [*_REPOSITORY, "kind", "type", "outcome"],
)
#: From ten seconds to two days.
_BUCKETS = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800, 86400, 172800)
DURATION = Histogram(
    "pgwarden_operation_duration_seconds", "Seconds from the beginning to the end of those that completed.",
    ["kind", "type"], buckets=_BUCKETS,
)  # fmt: skip
SECONDS = Counter(
    "pgwarden_operation_seconds",
    "Seconds that completed Backups and Restores took.",
    [*_REPOSITORY, "kind", "type", "storage"],
)
RETRIES = Counter(
    "pgwarden_job_retries",
    "Pods of a Backup's or Restore's Job that were tried after the first one had failed.",
    [*_REPOSITORY, "kind"],
)
READ = Counter(
    "pgwarden_backup_database_bytes", "Bytes of the databases that were backed up.", [*_REPOSITORY, "storage"]
)
ADDED = Counter("pgwarden_backup_added_bytes", "Bytes that backups added to a storage.", [*_REPOSITORY, "storage"])
RUNS = Counter("pgwarden_schedule_runs", "Runs of schedules: started, or missed.", [*_REPOSITORY, "kind", "outcome"])
_counts = OfObjects()
_OVER = frozenset({"Completed", "Failed"})


def tell(plural: str, obj: Object, after: Object) -> None:
    """*obj* had its status, and has *after* now."""
    kind = BY_PLURAL.get(plural)
    if kind is None or not _counts.is_there(_where(obj)):
        return
    before = obj.get("status") or {}
    if kind.is_schedule:
        _of_schedule(kind.name, obj, before, after)
    elif kind.is_operation:
        _retried(kind.name, obj, before, after)
        if after.get("phase") in _OVER and before.get("phase") not in _OVER:
            _of_operation(kind.name, obj | {"status": after})


def of_those(is_there: IsThere) -> AbstractContextManager[None]:
    """Meanwhile *is_there* tells which Repositories there are."""
    return _counts.of_those(is_there)


def forget(key: tuple[str, str]) -> None:
    """Of a Repository that is gone."""
    _counts.forget(key)


def _of_operation(kind: str, obj: Object) -> None:
    if records.is_record(obj):
        return
    where, status = _where(obj), obj["status"]
    of = str(status.get("type") or "full") if kind == "Backup" else _restore_type(kind, obj)
    _counts.of(OPERATIONS, where, kind, of, status["phase"]).inc()
    if status["phase"] != "Completed":
        return
    storage = str((get(status, str, "storage") if kind == "Backup" else get(status, str, "forecast", "storage")) or "")
    seconds = _seconds(status)
    if seconds is not None:
        DURATION.labels(kind, of).observe(seconds)
        _counts.of(SECONDS, where, kind, of, storage).inc(seconds)
    if kind == "Backup":
        _counts.of(READ, where, storage).inc(get(status, int, "databaseSize") or 0)
        _counts.of(ADDED, where, storage).inc(get(status, int, "backupSize") or 0)


def _retried(kind: str, obj: Object, before: Object, after: Object) -> None:
    """Of another Job, as of one that is made anew, they begin at 0."""
    more = (get(after, int, "retries") or 0) - (get(before, int, "retries") or 0)
    if more > 0:
        _counts.of(RETRIES, _where(obj), kind).inc(more)


def _restore_type(kind: str, obj: Object) -> str:
    if kind == "RestoreDrill":
        return "drill"
    spec = obj.get("spec") or {}
    return "undo" if spec.get("undo") else "copy" if spec.get("volumeClaim") else "in-place"


def _of_schedule(kind: str, obj: Object, before: Object, after: Object) -> None:
    where = _where(obj)
    started = after.get("lastScheduleTime")
    if started and started != before.get("lastScheduleTime"):
        _counts.of(RUNS, where, kind, "started").inc()
    known = {one.get("time") for one in objects(before, "missed")}
    missed = sum(one.get("time") not in known for one in objects(after, "missed"))
    if missed:
        _counts.of(RUNS, where, kind, "missed").inc(missed)


def _where(obj: Object) -> tuple[str, str]:
    return str(obj["metadata"]["namespace"]), get(obj, str, "spec", "repository") or ""


def _seconds(status: Object) -> float | None:
    began, ended = get(status, str, "startTime"), get(status, str, "completionTime")
    if not began or not ended:
        return None
    return max(0.0, (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds())
