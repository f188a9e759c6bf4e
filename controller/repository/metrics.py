"""Prometheus gauges of each Repository. A value that is not known is dropped, never shown as 0."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import datetime
from typing import Any

from prometheus_client import Gauge

from pgwarden.contract.status import Volume
from pgwarden.rules import backup_sets

#: A Repository that nobody has looked at for this long (seconds) has no metrics: its last good values prove nothing.
STALE = 300.0
LABELS = ["namespace", "repository"]
UNARCHIVED = Gauge("pgwarden_unarchived_wal_segments", "WAL segments that wait in pg_wal of the primary.", LABELS)
CONDITION = Gauge("pgwarden_repository_condition", "1 True, 0 False; absent where Unknown.", [*LABELS, "condition"])
EARLIEST = Gauge(
    "pgwarden_recovery_window_earliest_timestamp_seconds", "Earliest time to restore to.", [*LABELS, "storage"]
)
LATEST = Gauge("pgwarden_recovery_window_latest_timestamp_seconds", "Latest time to restore to.", [*LABELS, "storage"])
LAST_BACKUP = Gauge(
    "pgwarden_last_backup_timestamp_seconds", "When the latest backup of a type ended.", [*LABELS, "storage", "type"]
)
UNPROTECTED = Gauge("pgwarden_unprotected_pods", "Labelled pods that were not injected.", LABELS)
OWED = Gauge(
    "pgwarden_full_backup_owed_timestamp_seconds",
    "Since when a storage owes a full backup, as its backups were lost; absent where it does not.",
    [*LABELS, "storage", "reason"],
)
SIZE = Gauge("pgwarden_repository_volume_size_bytes", "Size of the local storage's volume.", LABELS)
FREE = Gauge("pgwarden_repository_volume_free_bytes", "Free bytes of the local storage's volume.", LABELS)
MISSING = Gauge(
    "pgwarden_missing_wal_segments", "WAL segments that later WAL of a storage is there without.", [*LABELS, "storage"]
)
_ALL = (UNARCHIVED, CONDITION, EARLIEST, LATEST, LAST_BACKUP, UNPROTECTED, OWED, SIZE, FREE, MISSING)
_shown: dict[tuple[str, str], float] = {}


async def keep_fresh() -> None:
    """Forget what is not shown any more: a look that fails each time, or never comes, forgets nothing itself."""
    while True:
        await asyncio.sleep(STALE / 10)
        sweep(time.monotonic())


def sweep(now: float) -> None:
    """*now* as of time.monotonic()."""
    for key in [key for key, shown in _shown.items() if now - shown > STALE]:
        forget(key)


def forget(key: tuple[str, str]) -> None:
    _shown.pop(key, None)
    for gauge in _ALL:
        gauge.remove_by_labels({"namespace": key[0], "repository": key[1]})


def show(key: tuple[str, str], status: dict[str, Any], volume: Volume | None = None) -> None:
    forget(key)
    if volume is not None and volume.mounted and volume.size is not None and volume.free is not None:
        SIZE.labels(*key).set(volume.size)
        FREE.labels(*key).set(volume.free)
    for debt in status.get("fullBackupOwed") or []:
        OWED.labels(*key, debt["storage"], debt["reason"]).set(_seconds(debt["since"]))
    _shown[key] = time.monotonic()
    if status.get("primary") and status.get("unarchivedWAL") is not None:  # the status keeps what it knew last
        UNARCHIVED.labels(*key).set(status["unarchivedWAL"])
    for condition in status.get("conditions", []):
        if condition["status"] != "Unknown":
            CONDITION.labels(*key, condition["type"]).set(condition["status"] == "True")
    for storage in status.get("storages", []):
        MISSING.labels(*key, storage["name"]).set(sum(gap["segments"] for gap in storage.get("gaps", [])))
    newest = {window["storage"]: window for window in reversed(status.get("recoveryWindow", []))}  # it is the first
    for window in newest.values():
        EARLIEST.labels(*key, window["storage"]).set(_seconds(window["earliest"]))
        LATEST.labels(*key, window["storage"]).set(_seconds(window["latest"]))
    sets = backup_sets.of({"status": status})
    for storage, kind in itertools.product([held.name for held in sets.held], backup_sets.TYPES):
        for last in sets.of_storage(storage).latest(kind):
            LAST_BACKUP.labels(*key, storage, kind).set(_seconds(last["stopTime"]))
    if "pods" in status:
        UNPROTECTED.labels(*key).set(sum(not pod["injected"] for pod in status["pods"]))


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
