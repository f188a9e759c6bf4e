"""What is measured of a controller that has a fleet."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field

from bench.fleet import as_pod, objects
from bench.fleet.agents import OUT, WELL, PretendedPostgres
from bench.fleet.fleet import Fleet
from bench.fleet.objects import Member
from bench.schedules.world import Process, page

PORT = 18081
#: Numbers of Repositories that come later than the fleet.
NEW = 20_000
#: Until a Repository that is well is looked at again, at most; and a bit.
ROUND = 40.0
_COUNT = re.compile(r'^pgwarden_api_request_seconds_count\{code="([^"]*)",verb="([^"]*)"\} (\S+)')
_SERVED = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass
class Figures:
    repositories: int
    first: float = 0.0  # s until all are Ready after the very first start
    ready: float = 0.0  # s until /readyz after a cold start
    seen: float = 0.0  # s until each Repository was looked at
    rss: float = 0.0  # MB
    peak: float = 0.0
    cpu: float = 0.0  # percent of a core
    requests: float = 0.0  # of the API, per second
    by_request: dict[str, float] = field(default_factory=dict)  # the same, as the API server counts: verb and resource
    busy_cpu: float = 0.0  # the same while each PostgreSQL archives a segment a minute
    busy_requests: float = 0.0
    oldest: float = 0.0  # s that the first in the queue of Repositories waited, at most
    outages: list[float] = field(default_factory=list)
    setups: list[float] = field(default_factory=list)


def start(fleet: Fleet) -> Process:
    argv, access = as_pod.controller(fleet.world)
    environment = access | {
        "PGWARDEN_HTTP_PORT": str(PORT),
        "PGWARDEN_IMAGE": "pgwarden:bench",
        "PGWARDEN_NAMESPACE": "pgwarden-system",
        "PGWARDEN_LOG_LEVEL": "warning",
    }
    return fleet.world.start("controller", argv, environment)


def looked_at() -> float:
    """How many times a Repository was."""
    rows = [line for line in page(PORT, "/metrics").splitlines() if line.startswith("pgwarden_reconciles_total{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in rows if 'kind="Repository"' in line)


def requests() -> float:
    found = (_COUNT.match(line) for line in page(PORT, "/metrics").splitlines())
    return sum(float(one[3]) for one in found if one)


def oldest() -> float:
    """Seconds that the first of the Repositories in the queue has waited."""
    for line in page(PORT, "/metrics").splitlines():
        if line.startswith('pgwarden_queue_oldest_seconds{kind="Repository"}'):
            return float(line.rsplit(" ", 1)[1])
    return 0.0


async def served(fleet: Fleet) -> Counter[str]:
    """Requests to the API server by verb and resource, of whomever."""
    text = await fleet.world.client.request("GET", "/metrics", accept="text/plain")
    found: Counter[str] = Counter()
    for line in str(text).splitlines():
        row = _SERVED.match(line)
        if row:
            labels = dict(_LABEL.findall(row[1]))
            what = "/".join(one for one in (labels["resource"], labels["subresource"]) if one)
            found[f"{labels['verb']} {what}"] += float(row[2])  # type: ignore[assignment]
    return found


async def steady(fleet: Fleet, process: Process, seconds: float, found: Figures) -> None:
    by_before, began = await served(fleet), time.monotonic()
    found.cpu, found.requests, found.oldest = await _rates(process, seconds)
    took, after = time.monotonic() - began, await served(fleet)
    found.by_request = {
        what: (count - by_before[what]) / took for what, count in after.items() if count > by_before[what]
    }
    found.rss = process.memory()


async def busy(process: Process, settle: float, seconds: float, found: Figures) -> None:
    PretendedPostgres.busy = True
    try:
        await asyncio.sleep(settle)
        found.busy_cpu, found.busy_requests, _ = await _rates(process, seconds)
    finally:
        PretendedPostgres.busy = False


async def _rates(process: Process, seconds: float) -> tuple[float, float, float]:
    """Over *seconds*: percent of a core, requests a second, and how long the first in the queue waited at most."""
    before, cpu, began, oldest_seen = requests(), process.cpu(), time.monotonic(), 0.0
    while time.monotonic() - began < seconds:
        await asyncio.sleep(min(15.0, seconds))  # as Prometheus scrapes
        process.check()
        oldest_seen = max(oldest_seen, oldest())
    took = time.monotonic() - began
    return 100 * (process.cpu() - cpu) / took, (requests() - before) / took, oldest_seen


async def outages(fleet: Fleet, count: int) -> list[float]:
    """Seconds until an outage of a storage that was well is in its Repository's condition; one after the other begins."""
    chosen = random.Random(7).sample(fleet.well(), min(count, len(fleet.well())))

    async def one(member: Member, wait: float) -> float:
        await asyncio.sleep(wait)
        began, pgbackrest = time.monotonic(), fleet.kubelet.pairs[member.key].pgbackrest
        pgbackrest.state = OUT
        await fleet.all_are([member], "Reachable", "False", 300)
        pgbackrest.state = WELL
        return fleet.since(member, "Reachable") - began

    found = await asyncio.gather(*(one(member, n * ROUND / len(chosen)) for n, member in enumerate(chosen)))
    await fleet.all_are(chosen, "Reachable", "True", 300)
    return sorted(found)


async def setups(fleet: Fleet, count: int) -> list[float]:
    """Seconds until a Repository that was just made is Ready: its host's pod is there at once, its stanza in a second."""

    async def one(member: Member, wait: float) -> float:
        await asyncio.sleep(wait)
        began = time.monotonic()
        await fleet.add(member)
        await fleet.all_are([member], "Ready", "True", 300)
        return fleet.since(member, "Ready") - began

    first = NEW + len(fleet.members)
    new = [one for one in map(Member, range(first, first + 2 * count)) if not one.hangs][:count]
    await fleet.world.each(objects.namespaces(new))
    found = await asyncio.gather(*(one(member, float(n)) for n, member in enumerate(new)))
    for member in new:
        await fleet.remove(member)
    return sorted(found)
