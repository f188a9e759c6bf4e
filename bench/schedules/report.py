"""The result as a page. Pure, but for what it says of the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.schedules.runs import Result

RESULTS = Path(__file__).parents[1] / "results" / "schedules.md"
READY, MEMORY, LATE, CPU = 20.0, 250.0, 1.0, 2.0  # what is to be reached: s, MB, s, percent of a core
Figures = Mapping[str, Any]
_HEAD = "| | ready after a cold start | memory | peak | steady CPU | due | late p50 | p99 | max | missed | doubled |"


def document(
    ours: Mapping[int, Figures], cronjobs: Mapping[int, Figures], kopf: Figures, troubles: Sequence[str] = ()
) -> str:
    loads = [one.load for figures in (*ours.values(), *cronjobs.values(), kopf) for one in _results(figures)]
    lines = [
        "# Schedules",
        "",
        f"`make bench-schedules`, {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} CPUs ({platform.machine()}), Python",
        f"{platform.python_version()}, kube-apiserver and etcd on the same machine. Load average at the rounds: {_loads(loads)}.",
        _busy(loads),
        "",
        _HEAD,
        "|" + "---|" * 11,
    ]
    for size, figures in ours.items():
        lines.append(_row(f"**pgwarden, {size:,} BackupSchedules**, over the minute", figures, figures["spread"]))
        if "at_once" in figures:
            lines.append(_row("the same, all at one second", figures, figures["at_once"]))
    for rate, figures in cronjobs.items():
        title = "CronJobs, kube-controller-manager as it comes" if not rate else f"the same with --kube-api-qps={rate}"
        lines.append(_row(f"{max(ours):,} {title}, all at one second", figures, figures["at_once"]))
    if kopf:
        lines.append(_row(f"{max(ours):,} kopf timers of 60 s, over the minute", kopf, kopf["spread"]))
    return "\n".join([*lines, "", *troubles, *_notes(ours)]) + "\n"


def wrong(figures: Figures) -> list[str]:
    """What of the goals is not reached."""
    spread: Result = figures["spread"]
    found = []
    if figures["planned"] > READY:
        found.append(f"ready in {figures['planned']:.1f} s instead of {READY:.0f}")
    if figures["peak"] > MEMORY:
        found.append(f"{figures['peak']:.0f} MB instead of {MEMORY:.0f}")
    if not spread.p99 < LATE:
        found.append(f"p99 of the lateness {spread.p99:.2f} s instead of {LATE:.0f}")
    if figures["cpu"] > CPU:
        found.append(f"steady CPU {figures['cpu']:.1f} % instead of {CPU:.0f}")
    for title, one in (("over the minute", spread), ("at one second", figures["at_once"])):
        if one.missed or one.doubled:
            found.append(f"{title}: {one.missed} missed, {one.doubled} doubled")
    return found


def _results(figures: Figures) -> list[Result]:
    return [one for one in figures.values() if isinstance(one, Result)]


def _row(title: str, figures: Figures, result: Result) -> str:
    cells = [
        title,
        f"{figures['planned']:.1f} s",
        f"{figures['rss']:.0f} MB",
        f"{figures['peak']:.0f} MB",
        f"{figures['cpu']:.1f} %",
        str(result.due),
        f"{result.p50:.2f} s",
        f"{result.p99:.2f} s",
        f"{result.worst:.2f} s",
        str(result.missed),
        str(result.doubled),
    ]
    return f"| {' | '.join(cells)} |"


def _loads(loads: list[float]) -> str:
    return ", ".join(f"{one:.1f}" for one in loads)


def _busy(loads: list[float]) -> str:
    cores = os.cpu_count() or 1
    if max(loads, default=0) <= cores:
        return "Nothing else ran on it."
    return f"**The machine was busy with other work** ({cores} cores): times are longer than they would be alone."


def _notes(ours: Mapping[int, Figures]) -> list[str]:
    firsts = ", ".join(f"{figures['first']:.1f} s at {size:,}" for size, figures in ours.items())
    readies = ", ".join(f"{figures['ready']:.1f} s at {size:,}" for size, figures in ours.items())
    return [
        "To be reached at 10,000: ready in 20 s, under 250 MB, p99 of the lateness of 600 runs within one minute under 1 s, none",
        "missed and none doubled, steady CPU under 2 % of a core.",
        "",
        "- **Ready** is from the start of the process to the moment at which every schedule is planned. For pgwarden that is told by",
        f"  its metric; its probe `/readyz` (caches in step) came after {readies}. For the others it is when they use no CPU any more.",
        f"- The very first start, at which the status of every schedule is written, took {firsts}.",
        "- API server, etcd, bench and what is measured run at real-time priority (SCHED_RR) where that is allowed, so that other",
        "  work on the machine disturbs them less.",
        "- **Lateness** is from the due time to the moment at which a watch shows the Backup (Job), so the watch's own delay is in it.",
        "  Each Backup is Completed at once by the bench. CronJobs know minutes only, so all of theirs are due at one second.",
        "- **CPU** and memory are the process's own, over 30 s in which nothing is due (kopf: 60 s, a round of its timers).",
        "  The peak includes start and runs. In the controller's CPU are its looks, each 3 s, at the four Repositories of the",
        "  schedules: their hosts do not run here, and what is out of order is looked at more often.",
        "- kube-controller-manager runs its CronJob controller alone. As it comes it makes at most 20 requests a second.",
        "- The kopf operator has one timer for each object, which looks each minute whether a run has fallen due: the usual way.",
    ]
