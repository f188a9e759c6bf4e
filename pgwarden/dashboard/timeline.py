"""One Repository's past on lanes: what each storage can recover to, its backups and gaps, timelines, restores, drills.

Pure. Everything drawn has its words, which tables below the drawing repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pgwarden.api import records
from pgwarden.api.objects import Object
from pgwarden.api.quantity import size
from pgwarden.api.reading import get, moment, objects
from pgwarden.api.target import timeline_of_segment
from pgwarden.api.wording import clock
from pgwarden.cli import protection_window, show
from pgwarden.contract import last_drills
from pgwarden.dashboard.axis import Axis, Tick, around
from pgwarden.dashboard.words import When, when
from pgwarden.rules import backup_sets
from pgwarden.storages import names_of

LANE = 46.0  # units from one lane to the next
_TOP = 30.0


@dataclass(frozen=True)
class Bar:
    x: float
    width: float
    kind: str  # window | gap | waiting | broken | even | odd
    words: str
    label: str = ""


@dataclass(frozen=True)
class Mark:
    x: float
    kind: str  # full | diff | incr | Completed | Failed | Running | Pending
    words: str


@dataclass(frozen=True)
class Lane:
    y: float
    title: str
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Line:
    """A row of the table of what happened."""

    at: When
    kind: str
    name: str
    what: str


@dataclass(frozen=True)
class Timeline:
    axis: Axis
    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    height: float
    sets: tuple[Object, ...]
    cut: str  # how many sets there are, where not all are drawn
    events: tuple[Line, ...]

    @property
    def summary(self) -> str:
        """For those who do not see the drawing."""
        bars = [bar.words for lane in self.lanes for bar in lane.bars if bar.kind in {"window", "gap", "broken"}]
        return "; ".join(bars) or "nothing can be recovered: there is no finished backup"


def of(
    repository: Object, backups: Sequence[Object], restores: Sequence[Object], drills: Sequence[Object], now: datetime
) -> Timeline:
    """*backups*: those that have made a set are drawn as that."""
    sets, done = backup_sets.of(repository), [one for one in restores if not records.is_record(one)]
    without = [one for one in backups if _phase(one) != "Completed" and not records.is_record(one)]
    told = [*_drills(repository, drills)]
    axis = around([*_times(repository, sets.told), *_begun(without), *_begun(done), *_begun(told)], now)
    names = [name for name in names_of(repository) if name] or sorted({one.name for one in sets.held})
    lanes = [(f"storage {name}", *_storage(repository, name, axis, now)) for name in names]
    lanes += [("no set", (), tuple(_marks(without, axis)))] if without else []
    lanes += [
        ("timeline", _timelines(repository, sets.told, done, axis, now), ()),
        ("restores", (), tuple(_marks(done, axis))),
        ("drills", (), tuple(_marks(told, axis))),
    ]
    return Timeline(
        axis=axis,
        lanes=tuple(Lane(_TOP + LANE * n, *lane) for n, lane in enumerate(lanes)),
        ticks=tuple(axis.ticks()),
        height=_TOP + LANE * len(lanes) + 20,
        sets=tuple(_set(one, now) for one in sets.newest_first),
        cut="" if sets.whole else str(sets),
        events=tuple(_events([*without, *done, *told], now)),
    )


def _times(repository: Object, sets: Iterable[Object]) -> list[datetime]:
    windows = protection_window.windows(repository)
    stops = [found for one in sets if (found := moment(one.get("stopTime")))]
    return [*stops, *(time for one in windows for time in (one.since, one.until))]


def _begun(operations: Iterable[Object]) -> list[datetime]:
    return [time for one in operations if (time := _start(one))]


def _start(obj: Object) -> datetime | None:
    told = get(obj, str, "status", "startTime") or get(obj, str, "status", "completionTime")
    return moment(told or get(obj, str, "metadata", "creationTimestamp"))


def _storage(repository: Object, name: str, axis: Axis, now: datetime) -> tuple[tuple[Bar, ...], tuple[Mark, ...]]:
    found = [one for one in show.windows(repository) if one.storage == name]
    found.sort(key=lambda one: one.earliest)
    bars = []
    for n, one in enumerate(found):
        words = f"storage {name}: any moment from {clock(one.earliest)} to {clock(one.latest)}"
        bars.append(_bar(axis, one.earliest, one.latest, "window", words))
        after = found[n + 1].earliest if n + 1 < len(found) else now
        if one.missing:
            words = f"storage {name}: nothing from {clock(one.latest)} to {clock(after)}: WAL segment {one.missing}"
            bars.append(_bar(axis, one.latest, after, "gap", f"{words} is missing", one.missing))
        elif after > one.latest and n + 1 == len(found):
            fine = one.archiving
            kind, how = ("waiting", "not archived yet") if fine else ("broken", "NOT archived")
            bars.append(_bar(axis, one.latest, after, kind, f"storage {name}: since {clock(one.latest)} {how}"))
    sets = backup_sets.of(repository).of_storage(name).told
    marks = [
        Mark(axis.x(stop), str(one.get("type")), f"{one.get('type')} backup {one.get('label')}, {clock(stop)}")
        for one in reversed(sets)
        if (stop := moment(one.get("stopTime")))
    ]
    return tuple(bars), tuple(marks)


def _bar(axis: Axis, start: datetime, end: datetime, kind: str, words: str, label: str = "") -> Bar:
    x = axis.x(start)
    return Bar(x, max(2.0, round(axis.x(end) - x, 1)), kind, words, label)


def _timelines(
    repository: Object, sets: Iterable[Object], restores: Iterable[Object], axis: Axis, now: datetime
) -> tuple[Bar, ...]:
    """PostgreSQL's timelines, as far as sets, Restores and the archive tell when each was in use."""
    seen = [(moment(one.get("stopTime")), timeline_of_segment(one.get("walStop"))) for one in sets]
    seen += [
        (moment(get(one, str, "status", "completionTime")), get(one, int, "status", "timeline")) for one in restores
    ]
    newest = [timeline_of_segment(one.get("lastWal")) for one in objects(repository, "status", "storages")]
    seen.append((now, max(filter(None, newest), default=None)))
    points = sorted((time, number) for time, number in seen if time is not None and number is not None)
    spans: list[tuple[datetime, int]] = []
    for time, number in points:
        if not spans or number > spans[-1][1]:
            spans.append((time, number))
    ends = [*(time for time, _ in spans[1:]), *([now] if spans else [])]
    return tuple(
        _bar(axis, start, end, "odd" if number % 2 else "even", f"timeline {number} from {clock(start)}", str(number))
        for (start, number), end in zip(spans, ends, strict=True)
    )


def _drills(repository: Object, drills: Sequence[Object]) -> Iterable[Object]:
    """The objects, and those of `status.lastDrills` whose objects are gone, in the same form."""
    yield from drills
    there = {one["metadata"].get("uid") for one in drills}
    for one in last_drills.of(repository):
        if one.get("uid") not in there:
            status = {"phase": one.get("phase"), "completionTime": one.get("endedAt"), "message": one.get("message")}
            yield {"kind": "RestoreDrill", "metadata": {"name": str(one.get("name"))}, "status": status}


def _marks(operations: Iterable[Object], axis: Axis) -> Iterable[Mark]:
    for one in operations:
        time = _start(one)
        if time is not None:
            phase = _phase(one)
            yield Mark(axis.x(time), phase, f"{one['kind']} {one['metadata']['name']}: {phase}, {clock(time)}")


def _events(operations: Iterable[Object], now: datetime) -> list[Line]:
    told = [(when(_start(one), now), one) for one in operations]
    lines = [Line(at, str(one["kind"]), str(one["metadata"]["name"]), _said(one)) for at, one in told if at]
    return sorted(lines, key=lambda one: one.at.iso, reverse=True)


def _said(obj: Object) -> str:
    return f"{_phase(obj)}. {get(obj, str, 'status', 'message') or ''}".strip()


def _phase(obj: Object) -> str:
    return get(obj, str, "status", "phase") or "Pending"


def _set(one: Object, now: datetime) -> Object:
    return {
        "label": one.get("label"),
        "type": one.get("type"),
        "storage": one.get("storage"),
        "at": when(moment(one.get("stopTime")), now),
        "database": size(get(one, int, "databaseSize")),
        "added": size(get(one, int, "backupSize")),
        "backup": one.get("backup"),
        "fault": "damaged pages" if one.get("error") else "",
    }
