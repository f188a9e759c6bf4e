"""Repositories as the controller leaves them, and what is around them: one, or a fleet."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from pgwarden.api.registry import BY_PLURAL
from pgwarden.contract.archive import Gap
from pgwarden.dashboard.snapshot import Snapshot
from tests.unit.contract import produced

Object = dict[str, Any]
NOW = produced.NOW
DAY = timedelta(days=1)
#: What nobody may put into a page as HTML.
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>'\"&{{7*7}}"


def plain(kind: str, name: str, *, status: Object | None = None, namespace: str = "ns", **spec: Any) -> Object:
    metadata = {"name": name, "namespace": namespace, "uid": f"u-{name}", "creationTimestamp": "2026-11-01T00:00:00Z"}
    obj = {"apiVersion": "pgwarden.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    return obj | ({"status": status} if status is not None else {})


@functools.cache
def _as_stored(gaps: tuple[Gap, ...]) -> bytes:
    return json.dumps(produced.repository(produced.chain("FIIDIIFII", every=DAY / 2), gaps=gaps)).encode()


def repository(name: str = "hippo", namespace: str = "ns", *, gaps: Iterable[Gap] = (), **status: Any) -> Object:
    """Full backups and incr ones of half a week; it archives, and reaches its storage."""
    made: Object = json.loads(_as_stored(tuple(gaps)))
    made["metadata"] |= {"name": name, "namespace": namespace, "uid": f"u-{namespace}-{name}"}
    well = [
        {"type": kind, "status": "True", "reason": "Well", "message": ""}
        for kind in ("Ready", "Reachable", "Archiving")
    ]
    pods = [{"name": "db-0", "role": "primary", "reachable": True, "injected": True}]
    made["status"] |= {"phase": "Ready", "conditions": well, "pods": pods} | status
    return made


def schedule(name: str, repository: str = "hippo", namespace: str = "ns", **spec: Any) -> Object:
    given = {"repository": repository, "schedule": "0 1 * * *", "timeZone": "Europe/Berlin", "type": "full"} | spec
    return plain("BackupSchedule", name, namespace=namespace, **given) | {
        "status": {"phase": "Ready", "nextScheduleTimes": ["2026-11-24T00:00:00Z"]}
    }


def restore(name: str = "back", **status: Any) -> Object:
    """One that has measured: 22 MiB and four segments, ten seconds each."""
    steps = ("Validated", "VolumeReady", "Restored", "Replayed", "Completed")
    began = NOW - DAY
    conditions = [
        {
            "type": step,
            "status": "True",
            "lastTransitionTime": f"{began + timedelta(seconds=10 * n):%Y-%m-%dT%H:%M:%SZ}",
        }
        for n, step in enumerate(steps)
    ]
    known = {
        "phase": "Completed",
        "startTime": "2026-11-22T12:00:00Z",
        "completionTime": "2026-11-22T12:01:00Z",
        "timeline": 2,
        "conditions": conditions,
        "forecast": {"copyBytes": 23422072, "walSegments": 4},
    }
    return plain("Restore", name, status=known | status, repository="hippo")


def drill(name: str = "proof", phase: str = "Completed", **status: Any) -> Object:
    known = {
        "phase": phase,
        "startTime": "2026-11-23T06:00:00Z",
        "completionTime": "2026-11-23T06:02:00Z",
        "set": "20261123-104500F",
        "bytes": 23422072,
        "seconds": {"copy": 12, "replay": 3, "checks": 20},
        "checks": [{"name": "orders-are-there", "outcome": "Passed", "message": ""}],
    }
    return plain("RestoreDrill", name, status=known | status, repository="hippo")


def snapshot(*objects: Object, **unread: str) -> Snapshot:
    plurals = {kind.name: plural for plural, kind in BY_PLURAL.items()}
    there: dict[str, list[Object]] = {plural: [] for plural in BY_PLURAL if plural not in unread}
    for obj in objects:
        there[plurals[obj["kind"]]].append(obj)
    return Snapshot(NOW, there, unread)


def thousand() -> list[Object]:
    """In fifty namespaces, each with two schedules, ten Backups and two drills."""
    found: list[Object] = []
    for n in range(1000):
        where, name = f"ns-{n % 50}", f"hippo-{n}"
        found.append(repository(name, where))
        found += [schedule(f"{name}-{kind}", name, where, type=kind) for kind in ("full", "incr")]
        over = {"phase": "Completed", "completionTime": "2026-11-22T00:00:00Z"}
        found += [
            plain("Backup", f"{name}-{k}", namespace=where, status=over, repository=name, type="full")
            for k in range(10)
        ]
        found += [plain("RestoreDrill", f"{name}-{k}", namespace=where, status=over, repository=name) for k in range(2)]
    return found
