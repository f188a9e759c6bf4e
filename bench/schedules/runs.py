"""Runs of many schedules within one minute: which, how late each came, and that none is missing or comes twice. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from harness.runs_seen import Run


@dataclass(frozen=True)
class Result:
    due: int
    made: int
    missed: int
    doubled: int
    p50: float
    p99: float
    worst: float
    load: float = 0.0  # of the machine, before


def judged(expected: Iterable[tuple[str, datetime]], seen: Iterable[tuple[str, Run]], load: float) -> Result:
    """*expected* are schedules and when each is due; *seen* are the runs with the schedule of each."""
    wanted = set(expected)
    found: dict[tuple[str, datetime], list[Run]] = {}
    for schedule, run in seen:
        if run.due:
            found.setdefault((schedule, datetime.fromisoformat(run.due)), []).append(run)
    late = sorted(run.lateness for key in wanted & set(found) for run in found[key])
    doubled = sum(sum(len(run.uids) for run in runs) > 1 for runs in found.values())
    more = len(set(found) - wanted)  # a run that nobody asked for is as bad as one that comes twice
    if not late:
        return Result(len(wanted), 0, len(wanted), doubled + more, *[float("nan")] * 3, load)
    return Result(
        due=len(wanted),
        made=len(late),
        missed=len(wanted - set(found)),
        doubled=doubled + more,
        p50=statistics.median(late),
        p99=late[min(len(late) - 1, int(len(late) * 0.99))],
        worst=late[-1],
        load=load,
    )
