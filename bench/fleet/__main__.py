"""`make bench-fleet`: the controller with 10, 100 and 1,000 Repositories, in one run on one API server.

About an hour at 1,000; needs the local cluster's tools (`python3 -m localcluster tools`), no cluster.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.fleet import measure, report
from bench.fleet.fleet import Fleet
from bench.fleet.measure import Figures
from bench.schedules.__main__ import say
from bench.schedules.world import page, world

SETTLE = 45.0  # seconds: what a start has stirred up is over


async def size_of(fleet: Fleet, size: int, given: argparse.Namespace) -> Figures:
    found = Figures(size)
    await fleet.grow(size)
    say(f"{size} Repositories are there; the controller starts")
    process = measure.start(fleet)
    await fleet.all_are(fleet.well(), "Ready", "True", 120 + 3 * size)
    found.first = process.age
    peak = process.peak()
    process.stop()
    say(f"{size}: all are Ready after {found.first:.1f} s; a cold start")
    process = measure.start(fleet)
    found.ready = await process.until(lambda: page(measure.PORT, "/readyz").strip() == "ok", "readiness", 300)
    well = len(fleet.well())  # a look at the others takes ten seconds
    found.seen = await process.until(lambda: measure.looked_at() >= well, "a look at all", 60 + 3 * size)
    say(f"{size}: ready {found.ready:.1f} s, all seen {found.seen:.1f} s")
    await asyncio.sleep(given.settle)
    await measure.steady(fleet, process, given.seconds, found)
    say(
        f"{size}: {found.cpu:.1f} % CPU, {found.rss:.0f} MB, {found.requests:.1f} requests/s, queue {found.oldest:.1f} s"
    )
    await measure.busy(process, given.settle, given.seconds, found)
    say(f"{size}: busy: {found.busy_cpu:.1f} % CPU, {found.busy_requests:.1f} requests/s")
    if given.events:
        found.setups = await measure.setups(fleet, given.events)
        say(f"{size}: set up within {[round(one, 1) for one in found.setups]}")
        found.outages = await measure.outages(fleet, given.events)
        say(f"{size}: outages show within {[round(one, 1) for one in found.outages]}")
    found.peak = max(peak, process.peak())
    process.stop()
    return found


async def main(given: argparse.Namespace) -> int:
    sizes = [int(one) for one in given.repositories.split(",")]
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    found: list[Figures] = []
    loads: list[float] = []
    with tempfile.TemporaryDirectory(prefix="pgwarden-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        async with world(folder, first=not given.modest) as place:
            fleet = Fleet(place, folder / "agents", (datetime.now(UTC).hour + 12) % 24)
            await fleet.start()
            try:
                for size in sizes:
                    loads.append(os.getloadavg()[0])
                    found.append(await size_of(fleet, size, given))
                    if given.save:
                        report.RESULTS.write_text(report.document(found, loads), "utf-8")
            finally:
                await fleet.stop()
    sys.stdout.write(report.document(found, loads))
    missed = report.wrong(found[-1])
    for line in missed:
        say(f"NOT REACHED: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench-fleet", description=__doc__)
    parser.add_argument("--repositories", default="10,100,1000", help="how many, growing")
    parser.add_argument("--events", type=int, default=100, help="outages, and Repositories that are set up; 0: none")
    parser.add_argument("--seconds", type=float, default=120.0, help="for which it is looked at while idle")
    parser.add_argument("--settle", type=float, default=SETTLE, help="seconds before that")
    parser.add_argument("--modest", action="store_true", help="with no priority over other work on the machine")
    parser.add_argument("--save", action="store_true", help=f"write {report.RESULTS.name}")
    sys.exit(asyncio.run(main(parser.parse_args())))
