"""`make bench-schedules`: BackupSchedules, CronJobs and kopf timers, in one run on one API server.

About a quarter of an hour; needs the local cluster's tools (`python3 -m localcluster tools`), no cluster.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from bench.schedules import ours, peers, report
from bench.schedules.world import World, world

STEADY = 30.0  # seconds of looking at a process that has nothing to do


def say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


async def measure_ours(place: World, sizes: list[int], runs: int) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    await place.each(ours.repositories())
    before = 0
    for size in sizes:
        took = await place.each(ours.schedules(before, size))
        say(f"{size} BackupSchedules are there ({took:.0f} s); the controller starts")
        process, begun = await ours.beginnings(place, size)
        say(f"{size}: {begun}")
        figures = await process.steady(STEADY)
        say(f"{size}: steady {figures}")
        spread = await ours.due_within_a_minute(place, size, runs, spread=True)
        say(f"{size}: over the minute {spread}")
        found[size] = begun | figures | {"spread": spread}
        if size == sizes[-1]:
            found[size]["at_once"] = await ours.due_within_a_minute(place, size, runs, spread=False)
            say(f"{size}: at once {found[size]['at_once']}")
        found[size]["peak"] = process.peak()
        process.stop()
        before = size
    return found


async def measure_cronjobs(place: World, size: int, runs: int, rates: list[int]) -> dict[int, dict[str, Any]]:
    """Rate limit → figures; 0 is kube-controller-manager's own."""
    took = await place.each(peers.cronjobs(size))
    say(f"{size} CronJobs are there ({took:.0f} s)")
    found = {}
    for rate in rates:
        process = peers.controller_manager(place, rate)
        settled = await process.settled()
        figures = await process.steady(STEADY)
        say(f"CronJobs, rate {rate}: settled {settled:.1f} s, {figures}")
        at_once = await peers.due_at_once(place, size, min(runs, size))
        say(f"CronJobs, rate {rate}: {at_once}")
        found[rate] = figures | {"planned": settled, "at_once": at_once, "peak": process.peak()}
        process.stop()
    return found


async def measure_kopf(place: World, size: int, runs: int) -> dict[str, Any]:
    process = peers.operator(place)
    settled = await process.settled(240, quiet=0.3)
    figures = await process.steady(60.0)  # a round of its timers
    say(f"kopf: settled {settled:.1f} s, {figures}")
    spread = await ours.due_within_a_minute(place, size, runs, spread=True)
    say(f"kopf: {spread}")
    found = figures | {"planned": settled, "spread": spread, "peak": process.peak()}
    process.stop()
    return found


async def _tried(work: Coroutine[Any, Any, dict[Any, Any]], name: str, troubles: list[str]) -> dict[Any, Any]:
    """A peer that does not run must not cost the figures of the others; the page says so."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001  whatever it is, it is told
        say(f"{name}: {error}")
        troubles.append(f"{name} could not be measured: {' '.join(str(error).split())[:300]}")
        return {}


def _save(mine: dict[Any, Any], jobs: dict[Any, Any], timers: dict[Any, Any], troubles: list[str]) -> None:
    """After each part, so that a run that is ended early leaves what it has seen."""
    report.RESULTS.write_text(report.document(mine, jobs, timers, troubles), "utf-8")


async def main(given: argparse.Namespace) -> int:
    sizes, rates = ([int(one) for one in text.split(",")] for text in (given.sizes, given.rates))
    with tempfile.TemporaryDirectory(prefix="pgwarden-bench-", dir="/var/tmp") as folder:
        async with world(Path(folder)) as place:
            mine = await measure_ours(place, sizes, given.runs)
            troubles: list[str] = []
            jobs, timers = {}, {}
            if not given.only_ours:
                _save(mine, {}, {}, ["CronJobs and kopf timers: the run was ended before them."])
                jobs = await _tried(measure_cronjobs(place, sizes[-1], given.runs, rates), "CronJobs", troubles)
                _save(mine, jobs, {}, [*troubles, "kopf timers: the run was ended before them."])
                timers = await _tried(measure_kopf(place, sizes[-1], given.runs), "kopf", troubles)
                _save(mine, jobs, timers, troubles)
    sys.stdout.write(report.document(mine, jobs, timers, troubles))
    wrong = report.wrong(mine[sizes[-1]])
    for line in wrong:
        say(f"NOT REACHED: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench-schedules", description=__doc__)
    parser.add_argument("--sizes", default="100,1000,10000", help="how many schedules, growing")
    parser.add_argument("--runs", type=int, default=600, help="how many are due within one minute")
    parser.add_argument("--rates", default="0,500", help="--kube-api-qps of kube-controller-manager, 0 is its own")
    parser.add_argument("--only-ours", action="store_true", help="no CronJobs, no kopf; writes no result file")
    sys.exit(asyncio.run(main(parser.parse_args())))
