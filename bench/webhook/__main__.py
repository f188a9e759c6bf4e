"""`make bench-webhook`: the webhook beside a standard Go one, one core for the server, the other for the load.

Rounds are interleaved and medians shown. Rates suffer from whatever else the machine does; CPU-seconds for 1,000
reviews hardly do, and what one core can answer at most is one over them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.webhook import equal, kinds, shapes, shipped
from bench.webhook.world import Server, World, world

RESULTS = Path(__file__).parents[1] / "results" / "webhook.md"
CONNECTIONS = 8
_MEMORY = (
    "/dev/shm" if Path("/dev/shm").is_dir() else None
)  # logs go to files there: a container's are a pipe, and wait for no disk
_MIB = 1.048576  # MB; memory is asked for, limited and shown in MiB in Kubernetes
Round = dict[str, Any]


async def measure(rounds: int, seconds: float, *, image: bool) -> dict[str, Any]:
    """*image*: our webhook with the image's Python and libraries, else with those that run this."""
    with (
        tempfile.TemporaryDirectory(prefix="pgwarden-bench-", dir=_MEMORY) as folder,
        tempfile.TemporaryDirectory(prefix="pgwarden-image-") as unpacked,
    ):
        python = shipped.unpack(Path(unpacked)) if image else ["env", f"PYTHONPATH={Path.cwd()}", sys.executable]
        programs = Path("/") if image else Path(__file__).parent
        async with world(Path(folder), python, programs) as place:
            starts = [await _first_answers(place) for _ in range(3)]
            ours, peer, constant = await place.ours(), await place.peer(), await place.constant()
            try:
                pods = await equal.check(place, ours, peer)
                kinds.write(place.folder)
                found = await _rounds(place, ours, peer, constant, rounds, seconds)
                memory = {"ours": ours.memory("VmHWM"), "peer": peer.memory("VmHWM")}
            finally:
                for server in (ours, peer, constant):
                    await server.stop()
            runs_on = f"Python {shipped.version(python)}{' of the image' if image else ''}"
    return {
        "rounds": found,
        "memory": memory,
        "starts": starts,
        "pods": pods,
        "seconds": seconds,
        "python": runs_on,
    }


async def _first_answers(place: World) -> dict[str, float]:
    """Seconds from the start of the process to its first patch."""
    took = {}
    for name, start in (("ours", place.ours), ("peer", place.peer)):
        server = await start()
        took[name] = server.first_answer
        await server.stop()
    return took


async def _rounds(
    place: World, ours: Server, peer: Server, constant: Server, rounds: int, seconds: float
) -> dict[str, list[Round]]:
    """Name → a round each. Numbers count on through all of them: no body comes twice."""
    plan: list[tuple[str, Server, Round]] = [
        ("ours many", ours, {"connections": CONNECTIONS}),
        ("peer many", peer, {"connections": CONNECTIONS}),
        ("ours one", ours, {"connections": 1}),
        ("peer one", peer, {"connections": 1}),
        ("constant one", constant, {"connections": 1}),
        ("ours strangers", ours, {"connections": CONNECTIONS, "bodies": "strangers"}),
        *(
            (f"ours {name}", ours, {"connections": 1, "bodies": name, "path": "/validate"})
            for name in (*kinds.NAMES, kinds.NEW)
        ),
    ]
    found: dict[str, list[Round]] = {name: [] for name, _, _ in plan}
    number = 100
    for server in (ours, peer, constant):  # connections, caches and clocks get warm
        number = (await place.load(server, "pods", number, connections=CONNECTIONS, seconds=0.5))["next"]
    for _ in range(rounds):
        for name, server, flags in plan:
            expect = {} if "/validate" in flags.values() else {"expect": '"patch":'}
            given = {"bodies": "pods", "start": number, "seconds": seconds} | flags | expect
            figures = await place.load(server, **given)
            number = figures["next"]
            found[name].append(figures | {"load": os.getloadavg()[0]})
    return found


def report(figures: dict[str, Any]) -> str:
    rounds = figures["rounds"]
    loads = [each["load"] for several in rounds.values() for each in several]
    best = min(rounds["ours one"], key=lambda each: each["p99_ms"])
    return _TEXT.format(
        when=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        python=figures["python"],
        cores=os.cpu_count(),
        rounds=len(rounds["ours one"]),
        seconds=figures["seconds"],
        low=min(loads),
        high=max(loads),
        pods=figures["pods"],
        rows="\n".join(_row(title, rounds[name]) for name, title in _TITLES.items()),
        checks="\n".join(_checks(figures)),
        peer_memory=figures["memory"]["peer"],
        peer_start=_start(figures, "peer"),
        peer_cpu=_median(rounds["peer many"], "cpu"),
        best=best["p50_ms"],
        best99=best["p99_ms"],
        bytes=sum(len(shapes.review(pod)) for pod in shapes.pods()) // figures["pods"],
    )


def _checks(figures: dict[str, Any]) -> Iterator[str]:
    """What was to be reached, and whether it was."""
    rounds = figures["rounds"]
    ratio = _median(rounds["peer many"], "cpu") / _median(rounds["ours many"], "cpu")
    memory, start = figures["memory"]["ours"], _start(figures, "ours")
    checks = [
        ("rate per core, of the Go webhook's", f"{ratio:.1f} times", "12 times", ratio >= 12),
        ("peak memory", f"{memory / _MIB:.1f} MiB ({memory:.1f} million bytes)", "60 MB", memory / _MIB < 60),
        ("first answer after the start", f"{start:.2f} s", "1 s", start < 1),
    ]
    limits = [
        ("ours one", "p50_ms", 0.15),
        ("ours one", "p99_ms", 1.0),
        *((f"ours {kind}", "p50_ms", 0.3) for kind in kinds.NAMES),
        (f"ours {kinds.NEW}", "p50_ms", 1.0),
    ]
    for name, which, limit in limits:
        found = _median(rounds[name], which)
        checks.append(
            (f"{which.removesuffix('_ms')}: {_TITLES[name]}", f"{found:.3f} ms", f"{limit} ms", found <= limit)
        )
    for what, found_text, wanted, good in checks:
        yield f"| {what} | {found_text} | {wanted} | {'yes' if good else '**no**'} |"


def _start(figures: dict[str, Any], name: str) -> float:
    return statistics.median(each[name] for each in figures["starts"])


def _row(title: str, several: list[Round]) -> str:
    cpu = _median(several, "cpu")
    cells = [
        f"{_median(several, 'rate'):,.0f}",
        f"{max(each['rate'] for each in several):,.0f}",
        f"{cpu:.3f}",
        f"{1000 / cpu:,.0f}",
    ]
    cells += [f"{_median(several, name):.3f}" for name in ("p50_ms", "p99_ms")]
    return f"| {title} | {' | '.join(cells)} |"


def _median(several: list[Round], name: str) -> float:
    return float(statistics.median(each[name] for each in several))


_TITLES = {
    "ours many": f"pgwarden, {CONNECTIONS} connections",
    "peer many": f"controller-runtime, {CONNECTIONS} connections",
    "ours one": "pgwarden, one connection",
    "peer one": "controller-runtime, one connection",
    "constant one": "a constant answer, one connection",
    "ours strangers": f"pgwarden, every pod of a template of its own, {CONNECTIONS} connections",
    **{f"ours {name}": f"pgwarden, /validate of a {name}, one connection" for name in kinds.NAMES},
    f"ours {kinds.NEW}": "pgwarden, /validate of a BackupSchedule never seen before, one connection",
}
_TEXT = """# The webhook's speed

Made by `make bench-webhook` on {when}: {python}, {cores} cores, {rounds} rounds, interleaved, medians. The
machine was not idle (load average {low:.1f} to {high:.1f}), so that servers and load run ahead of other work
(SCHED_FIFO) in rounds of {seconds} s with pauses between them. A server has core 0, the load core 1, over TLS 1.3
with keep-alive. Reviews have {bytes} bytes on average; names, claims, token volumes, labels and a variable differ in
every one of them, and none is sent twice. Metrics and a log line for each review are on in both webhooks, and all
rules in pgwarden's.

Both make the same pods: checked for all {pods} shapes before the rounds, by applying both patches.

| | reviews/s | best round | CPU-seconds per 1,000 | reviews per core-second | p50 ms | p99 ms |
|---|---|---|---|---|---|---|
{rows}

CPU-seconds are of the server's process alone, user and system, from the kernel. They suffer less from other work on
the machine than rates and latencies do; "rate per core" below is their ratio. The best round on one connection had
p50 {best:.3f} ms and p99 {best99:.3f} ms.

| | is | is to be | reached |
|---|---|---|---|
{checks}

The Go webhook: {peer_memory:.0f} MB at its peak, first answer after {peer_start:.2f} s. Its CPU-seconds for 1,000
reviews say how fast the machine was: {peer_cpu:.2f} here, 0.87 on the quiet one that the latencies to be reached were
named for.

"A constant answer" parses nothing and decides nothing: what TLS, the event loop, the kernel and the load generator
take on this machine before a webhook has done anything. The load generator's own time is in all latencies.

"Every pod of a template of its own" is the worst case for pgwarden: it remembers the answer for pods that are alike,
and there none is.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="The webhook beside a standard Go one.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.4)
    given = parser.parse_args()
    figures = asyncio.run(measure(given.rounds, given.seconds, image=os.geteuid() == 0))
    text = report(figures)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text, "utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
