"""Prometheus gauges of each Repository. A value that is not known is dropped, never shown as 0."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.repository.room import Filled
from controller.runtime.light_gauge import LightGauge
from controller.runtime.of_objects import OfObjects
from pgwarden.api.reading import objects
from pgwarden.contract import last_drills
from pgwarden.contract.status import Archiver, Volume
from pgwarden.rules import backup_sets

#: A Repository that nobody has looked at for this long (seconds) has no metrics: its last good values prove nothing.
STALE = 300.0
LABELS = ["namespace", "repository"]
UNARCHIVED = LightGauge("pgwarden_unarchived_wal_segments", "WAL segments that wait in pg_wal of the primary.", LABELS)
CONDITION = LightGauge(
    "pgwarden_repository_condition", "1 True, 0 False; absent where Unknown.", [*LABELS, "condition"]
)
EARLIEST = LightGauge(
    "pgwarden_recovery_window_earliest_timestamp_seconds", "Earliest time to restore to.", [*LABELS, "storage"]
)
LATEST = LightGauge(
    "pgwarden_recovery_window_latest_timestamp_seconds", "Latest time to restore to.", [*LABELS, "storage"]
)
LAST_BACKUP = LightGauge(
    "pgwarden_last_backup_timestamp_seconds", "When the latest backup of a type ended.", [*LABELS, "storage", "type"]
)
UNPROTECTED = LightGauge("pgwarden_unprotected_pods", "Labelled pods that were not injected.", LABELS)
OWED = LightGauge(
    "pgwarden_full_backup_owed_timestamp_seconds",
    "Since when a storage owes a full backup, as its backups were lost; absent where it does not.",
    [*LABELS, "storage", "reason"],
)
SIZE = LightGauge("pgwarden_repository_volume_size_bytes", "Size of the local storage's volume.", LABELS)
FREE = LightGauge("pgwarden_repository_volume_free_bytes", "Free bytes of the local storage's volume.", LABELS)
#: By role, as pods come and go: of several the fullest is shown.
ROOM = [*LABELS, "volume", "role"]
DATA_SIZE = LightGauge("pgwarden_data_volume_size_bytes", "Size of PostgreSQL's fullest volume of data or WAL.", ROOM)
DATA_FREE = LightGauge("pgwarden_data_volume_free_bytes", "Free bytes of that volume.", ROOM)
MISSING = LightGauge(
    "pgwarden_missing_wal_segments", "WAL segments that later WAL of a storage is there without.", [*LABELS, "storage"]
)
EXPIRY = LightGauge(
    "pgwarden_certificate_expiry_timestamp_seconds",
    "When the first certificate of its pods and its repository host expires.",
    LABELS,
)
PROVEN = LightGauge(
    "pgwarden_last_proof_timestamp_seconds", "When the last restore drill that passed has ended.", LABELS
)
PROOF_SECONDS = LightGauge(
    "pgwarden_last_proof_restore_seconds", "How long the restore took in that drill, without its checks.", LABELS
)
DRILL = LightGauge("pgwarden_last_drill_timestamp_seconds", "When the last restore drill has ended.", LABELS)
DRILL_PASSED = LightGauge("pgwarden_last_drill_passed", "1 where the last restore drill passed, else 0.", LABELS)
_values = OfObjects()
_shown: dict[tuple[str, str], float] = {}


class Archives(Collector):
    """PostgreSQL's own counters, as the primary says them: another primary begins anew."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Archiver] = {}

    def show(self, key: tuple[str, str], archiver: Archiver | None) -> None:
        self.forget(key)
        if archiver is not None:
            self._known[key] = archiver

    def forget(self, key: tuple[str, str]) -> None:
        self._known.pop(key, None)

    def collect(self) -> Iterator[Metric]:
        done = CounterMetricFamily(
            "pgwarden_archived_wal_segments", "WAL segments that the primary has archived.", labels=LABELS
        )
        failed = CounterMetricFamily(
            "pgwarden_wal_archive_failures", "Times that the primary's archive_command has failed.", labels=LABELS
        )
        for key, archiver in self._known.items():
            for family, count in ((done, archiver.archived_count), (failed, archiver.failed_count)):
                if count is not None:
                    family.add_metric(list(key), count)
        yield done
        yield failed


ARCHIVES = Archives()
REGISTRY.register(ARCHIVES)


async def keep_fresh() -> None:
    """Forget what is not shown any more: a look that fails each time, or never comes, forgets nothing itself."""
    while True:
        await asyncio.sleep(STALE / 10)
        sweep(time.monotonic())


def sweep(now: float) -> None:
    """*now* as of time.monotonic()."""
    for key in [key for key, shown in _shown.items() if now - shown > STALE]:
        gone(key)


def forget_all() -> None:
    for key in list(_shown):
        gone(key)


def gone(key: tuple[str, str]) -> None:
    forget(key)
    ARCHIVES.forget(key)
    EXPIRY.remove(*key)


def forget(key: tuple[str, str]) -> None:
    _shown.pop(key, None)
    _values.forget(key)


def again(key: tuple[str, str]) -> None:
    """What is shown of it is so still."""
    if key in _shown:
        _shown[key] = time.monotonic()


def show(
    key: tuple[str, str],
    status: dict[str, Any],
    volume: Volume | None = None,
    archiver: Archiver | None = None,
    filled: Iterable[Filled] = (),
) -> None:
    forget(key)
    ARCHIVES.show(key, archiver)
    for one in sorted(filled, key=lambda one: one.percent):  # the fullest is shown last, and stays
        if one.kind and one.usage.size is not None and one.usage.free is not None:
            _values.of(DATA_SIZE, key, one.kind, one.role).set(one.usage.size)
            _values.of(DATA_FREE, key, one.kind, one.role).set(one.usage.free)
    if volume is not None and volume.mounted and volume.size is not None and volume.free is not None:
        _values.of(SIZE, key).set(volume.size)
        _values.of(FREE, key).set(volume.free)
    for debt in status.get("fullBackupOwed") or []:
        _values.of(OWED, key, debt["storage"], debt["reason"]).set(_seconds(debt["since"]))
    _shown[key] = time.monotonic()
    if status.get("primary") and status.get("unarchivedWAL") is not None:  # the status keeps what it knew last
        _values.of(UNARCHIVED, key).set(status["unarchivedWAL"])
    for condition in status.get("conditions", []):
        if condition["status"] != "Unknown":
            _values.of(CONDITION, key, condition["type"]).set(condition["status"] == "True")
    for storage in status.get("storages", []):
        _values.of(MISSING, key, storage["name"]).set(sum(gap["segments"] for gap in storage.get("gaps", [])))
    newest = {window["storage"]: window for window in reversed(status.get("recoveryWindow", []))}  # it is the first
    for window in newest.values():
        _values.of(EARLIEST, key, window["storage"]).set(_seconds(window["earliest"]))
        _values.of(LATEST, key, window["storage"]).set(_seconds(window["latest"]))
    sets = backup_sets.of({"status": status})
    for storage, kind in itertools.product([held.name for held in sets.held], backup_sets.TYPES):
        for last in sets.of_storage(storage).latest(kind):
            _values.of(LAST_BACKUP, key, storage, kind).set(_seconds(last["stopTime"]))
    _show_drills(key, objects(status, last_drills.FIELD))
    if "pods" in status:
        _values.of(UNPROTECTED, key).set(sum(not pod["injected"] for pod in status["pods"]))


def _show_drills(key: tuple[str, str], drills: list[dict[str, Any]]) -> None:
    """*drills* newest first."""
    if not drills:
        return
    _values.of(DRILL, key).set(_seconds(drills[0]["endedAt"]))
    _values.of(DRILL_PASSED, key).set(last_drills.passed(drills[0]))
    proof = last_drills.last_proof(drills)
    if proof is not None:
        _values.of(PROVEN, key).set(_seconds(proof["endedAt"]))
        if "seconds" in proof:
            _values.of(PROOF_SECONDS, key).set(proof["seconds"])


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
