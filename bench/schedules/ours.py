"""BackupSchedules and the real controller's process."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.schedules.runs import Result, judged
from bench.schedules.world import NAMESPACES, Process, World, page
from harness.runs_seen import RunsSeen
from pgwarden.api import names
from pgwarden.kube import paths

Object = dict[str, Any]
PORT = 18080


def where(number: int) -> tuple[str, str]:
    """Namespace and name of a schedule."""
    return NAMESPACES[number % len(NAMESPACES)], f"schedule-{number:05}"


def quiet_hour() -> int:
    """An hour that is far from now: what is due then is not due during the measurement."""
    return (datetime.now(UTC).hour + 12) % 24


def repositories() -> Iterator[tuple[str, str, Object]]:
    for namespace in NAMESPACES:
        metadata = {"name": "hippo", "namespace": namespace}
        spec = {"storageType": "local", "retention": {"full": 2}}
        body = {"apiVersion": names.API_VERSION, "kind": "Repository", "metadata": metadata, "spec": spec}
        yield "POST", paths.of("repositories", namespace), body


def schedules(first: int, last: int) -> Iterator[tuple[str, str, Object]]:
    hour = quiet_hour()
    for number in range(first, last):
        namespace, name = where(number)
        spec = {"repository": "hippo", "type": "full", "schedule": f"{number % 60} {hour} * * *"}
        body = {"apiVersion": names.API_VERSION, "kind": "BackupSchedule", "metadata": {"name": name}, "spec": spec}
        yield "POST", paths.of("backupschedules", namespace), body


def start(world: World) -> Process:
    environment = {
        "KUBECONFIG": str(world.kubeconfig),
        "PGWARDEN_HTTP_PORT": str(PORT),
        "PGWARDEN_IMAGE": "pgwarden:bench",
        "PGWARDEN_NAMESPACE": "pgwarden-system",
        "PGWARDEN_LOG_LEVEL": "warning",
    }
    return world.start("controller", [sys.executable, "-m", "controller"], environment)


def looked_at() -> float:
    """How many times a BackupSchedule was looked at, by the controller's own metric."""
    rows = [line for line in page(PORT, "/metrics").splitlines() if line.startswith("pgwarden_reconciles_total{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in rows if 'kind="BackupSchedule"' in line)


async def beginnings(world: World, size: int) -> tuple[Process, dict[str, float]]:
    """First start: every status is written. Then a cold start: nothing is new. The process of that goes on."""
    process = start(world)
    first = await process.until(lambda: looked_at() >= size, "the first look at all", 300)
    process.stop()
    process = start(world)
    ready = await process.until(lambda: page(PORT, "/readyz").strip() == "ok", "readiness", 120)
    all_planned = await process.until(lambda: looked_at() >= size, "a look at all", 300)
    await asyncio.sleep(5)
    return process, {"first": first, "ready": ready, "planned": all_planned}


async def due_within_a_minute(world: World, size: int, count: int, *, spread: bool) -> Result:
    """*count* runs in one minute: ten each second, or all at its beginning."""
    began, count = datetime.now(UTC), min(count, size)
    seconds = 10 + count // 60
    minute = (datetime.now(UTC) + timedelta(seconds=seconds + 60)).replace(second=0, microsecond=0)
    chosen = [number * (size // count) for number in range(count)]
    expected, requests = [], []
    for n, number in enumerate(chosen):
        namespace, name = where(number)
        due = minute + timedelta(seconds=n * 60 // count if spread else 0)
        spec = {"schedule": f"{due.second} {due.minute} {due.hour} * * *"}
        requests.append(("PATCH", paths.of("backupschedules", namespace, name), {"spec": spec}))
        expected.append((f"{namespace}/{name}", due))
    with RunsSeen(world.kubeconfig) as seen:
        await world.each(requests)
        if datetime.now(UTC) > minute - timedelta(seconds=2):
            raise RuntimeError("the machine was too slow to change the schedules before they were due")
        await asyncio.sleep((minute - datetime.now(UTC)).total_seconds())
        load = os.getloadavg()[0]
        await asyncio.sleep((minute + timedelta(seconds=75) - datetime.now(UTC)).total_seconds())
        runs = [
            (f"{namespace}/{name.rpartition('-')[0]}", run)
            for (namespace, name), run in seen.runs.items()
            if not run.due or datetime.fromisoformat(run.due) >= began  # else the controller wrote to an older Backup
        ]
    hour = quiet_hour()
    back = [
        (method, path, {"spec": {"schedule": f"{n % 60} {hour} * * *"}}) for n, (method, path, _) in enumerate(requests)
    ]
    await world.each(back)
    return judged(expected, runs, load)
