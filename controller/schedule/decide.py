"""Which run of a schedule is due, and which were missed. Pure: the clock and the calendar are passed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.schedule.made import BACKUPS, Made

#: So many missed runs are listed one by one; of a longer downtime, only the last run counts.
MOST_MISSED = 100
NextRun = Callable[[datetime], datetime | None]


@dataclass(frozen=True)
class Missed:
    """`reason` is for programs and the status, `why` for people."""

    time: datetime
    reason: str
    why: str


@dataclass(frozen=True)
class Plan:
    """`due` is the run to start now, if any; `upcoming` the next one after *now*."""

    due: datetime | None
    missed: tuple[Missed, ...]
    upcoming: datetime | None


def plan(
    next_run: NextRun,
    since: datetime,
    now: datetime,
    *,
    suspended: bool = False,
    starting_deadline: int | None = None,
    busy_with: str = "",
    made: Made = BACKUPS,
) -> Plan:
    """Of the runs after *since* up to *now* at most the latest is started; the others are missed, with a reason.

    The latest is missed too if the schedule is suspended, if it is more than *starting_deadline* seconds late, or if
    what an earlier run has *made* (*busy_with*, its name) has not finished.
    """
    passed, upcoming = _passed(next_run, since, now)
    if not passed:
        return Plan(None, (), upcoming)
    if suspended:
        return Plan(None, tuple(Missed(time, "Suspended", "the schedule is suspended") for time in passed), upcoming)
    missed = [Missed(time, "CaughtUpByLaterRun", "a later run took its place") for time in passed[:-1]]
    latest = passed[-1]
    if starting_deadline is not None and now - latest > timedelta(seconds=starting_deadline):
        why = f"it was more than {starting_deadline} s late (spec.startingDeadlineSeconds)"
        missed.append(Missed(latest, "StartingDeadlineExceeded", why))
        return Plan(None, tuple(missed), upcoming)
    if busy_with:
        why = f"{made.kind} {busy_with} of an earlier run had not finished"
        missed.append(Missed(latest, f"{made.unfinished}:{busy_with}", why))
        return Plan(None, tuple(missed), upcoming)
    return Plan(latest, tuple(missed), upcoming)


def _passed(next_run: NextRun, since: datetime, now: datetime) -> tuple[list[datetime], datetime | None]:
    """The runs in (since, now], only the last MOST_MISSED of a short downtime, and the first one after."""
    passed: list[datetime] = []
    at = next_run(since)
    while at is not None and at <= now:
        passed.append(at)
        if len(passed) > MOST_MISSED:
            return _recent(next_run, now)
        at = next_run(at)
    return passed, at


def _recent(next_run: NextRun, now: datetime) -> tuple[list[datetime], datetime | None]:
    """After a long downtime: the latest run before *now*, found by looking back over growing spans."""
    span = timedelta(minutes=1)
    while True:
        at = next_run(now - span)
        if at is not None and at <= now:
            latest = at
            while (following := next_run(latest)) is not None and following <= now:
                latest = following
            return [latest], following
        span *= 2


def expendable(finished: list[tuple[str, str]], limit: int) -> list[str]:
    """Names to delete of (creation time, name) so that the newest *limit* stay."""
    ordered = sorted(finished, reverse=True)
    return [name for _, name in ordered[limit:]]
