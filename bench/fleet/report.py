"""The result as a page, and what of the aims is not reached. Pure, but for what it says of the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.fleet import objects
from bench.fleet.measure import Figures

RESULTS = Path(__file__).parents[1] / "results" / "fleet.md"
#: What is to be reached at 1,000: MB, requests a second, percent of a core, seconds.
PEAK, REQUESTS, CPU, OUTAGE, SETUP = 300.0, 20.0, 5.0, 45.0, 10.0
_HEAD = (
    "| Repositories | first start | ready | all seen | memory | peak | idle CPU | idle requests/s | busy CPU "
    "| busy requests/s | queue, longest | outage shows p50 | p99 | set up p50 | p99 |"
)


def document(found: Sequence[Figures], loads: Sequence[float]) -> str:
    lines = [
        "# Fleet",
        "",
        f"`make bench-fleet`, {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} CPUs ({platform.machine()}), Python",
        (
            f"{platform.python_version()}; kube-apiserver, etcd and all agents on the same machine. Load average before each size: "
            f"{', '.join(f'{one:.1f}' for one in loads)}."
        ),
        "",
        _HEAD,
        "|" + "---|" * 15,
        *(_row(one) for one in found),
        "",
        (
            f"To be reached at 1,000: peak under {PEAK:.0f} MB (the limit is 512 MiB), under {REQUESTS:.0f} requests a second, CPU under "
            f"{CPU:.0f} % of a core,"
        ),
        f"p99 of an outage under {OUTAGE:.0f} s and of the setting up under {SETUP:.0f} s.",
        "",
        *_notes(),
        "",
        "## Idle requests to the API server",
        "",
        "As the API server counts them, per second; WATCH is a watch that has ended.",
        "",
        *_requests(found),
    ]
    return "\n".join(lines) + "\n"


def wrong(figures: Figures) -> list[str]:
    """What of the aims is not reached."""
    told = [
        ("peak memory in MB", figures.peak, PEAK),
        ("idle requests a second", figures.requests, REQUESTS),
        ("idle CPU in percent", figures.cpu, CPU),
        ("p99 of the seconds until an outage shows", percentile(figures.outages, 99), OUTAGE),
        ("p99 of the seconds until a Repository is set up", percentile(figures.setups, 99), SETUP),
    ]
    return [f"{what}: {value:.1f} instead of {most:.0f}" for what, value, most in told if not value < most]


def percentile(found: Sequence[float], percent: int) -> float:
    """Of sorted values; not a number where there is none."""
    return found[min(len(found) - 1, len(found) * percent // 100)] if found else float("nan")


def _row(one: Figures) -> str:
    cells = [
        f"{one.repositories:,}",
        *(f"{value:.1f} s" for value in (one.first, one.ready, one.seen)),
        *(f"{value:.0f} MB" for value in (one.rss, one.peak)),
        f"{one.cpu:.1f} %",
        f"{one.requests:.1f}",
        f"{one.busy_cpu:.1f} %",
        f"{one.busy_requests:.1f}",
        f"{one.oldest:.1f} s",
        *(f"{percentile(values, p):.1f} s" for values in (one.outages, one.setups) for p in (50, 99)),
    ]
    return f"| {' | '.join(cells)} |"


def _notes() -> list[str]:
    o = objects
    return [
        (
            f"- Beside each Repository: {o.SCHEDULES} BackupSchedules, {o.BACKUPS} ended Backups, {o.RESTORES} ended Restores, and "
            f"{o.STRANGERS} Deployments and StatefulSets of"
        ),
        f"  other people. One in {o.HANGING} has a storage that hangs: its `pgbackrest info` does not come back.",
        "- The agents are the real door and the real code for every answer, with client certificates, on loopback addresses;",
        "  pgBackRest and PostgreSQL behind them are pretended. Kubelet and kube-controller-manager are the bench.",
        "- **First start**: until each Repository that is well is Ready, with certificates, objects and pods made. The others are of a",
        "  cold start: `/readyz`, and as many looks as there are Repositories that are well.",
        "- **Idle**: nothing happens, PostgreSQL writes nothing. The controller counts its own requests.",
        "- **Busy**: each PostgreSQL archives a segment a minute, which its Repository's status tells.",
        "- **Outage**: of a storage that was well and falls silent: pgBackRest takes 8 s to say so. Until the condition turns.",
        "- **Set up**: from `kubectl apply` to Ready, one each second; a second of it is `stanza-create`.",
    ]


def _requests(found: Sequence[Figures]) -> list[str]:
    kinds = sorted({what for one in found for what, rate in one.by_request.items() if rate >= 0.05})
    head = f"| | {' | '.join(f'{one.repositories:,}' for one in found)} |"
    return [head, "|" + "---|" * (len(found) + 1), *(_kind(what, [one.by_request for one in found]) for what in kinds)]


def _kind(what: str, rates: Sequence[Mapping[str, float]]) -> str:
    return f"| {what} | {' | '.join(f'{one.get(what, 0.0):.1f}' for one in rates)} |"
