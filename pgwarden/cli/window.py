"""The recovery window as a picture: a time axis with the backups on it, and how far the WAL goes. Pure.

F              D   I      F       I
●━━━━━━━━━━━━━━●━━━●━━━━━━●━━━━━━━●━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┫╌╌╌╌
    ╵                         ╵                         ╵
    11-02                     11-09                     11-16
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pgwarden.cli.output import clock, span

NARROWEST, WIDEST = 40, 140
_MARGIN = 2
#: Where several fall on one column, the largest is drawn.
_RANK = {"full": 3, "diff": 2, "incr": 1}
_STEPS = (
    *(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 180, 360, 720)),
    *(timedelta(days=days) for days in (1, 2, 7, 14, 28, 91, 182, 364, 5 * 364)),
)


@dataclass(frozen=True)
class Glyphs:
    backup: str
    covered: str
    end: str
    pending: str
    broken: str
    tick: str


UNICODE = Glyphs("●", "━", "┫", "╌", "×", "╵")  # noqa: RUF001  the sign, not the letter
ASCII = Glyphs("o", "=", "|", "-", "x", "'")


@dataclass(frozen=True)
class Mark:
    """One backup set: when it ended, and full, diff or incr."""

    stop: datetime
    kind: str


@dataclass(frozen=True)
class Cut:
    """How many sets there are in all, where only the newest have marks; None where that is not known."""

    full: int | None
    diff: int | None
    incr: int | None


@dataclass(frozen=True)
class Window:
    """What one storage can recover to. `archiving` None: not known. `cut` None: there is a mark for each set. `missing`
    is the WAL segment that ends it.
    """

    storage: str
    earliest: datetime
    latest: datetime
    marks: tuple[Mark, ...]
    archiving: bool | None = True
    cut: Cut | None = None
    missing: str = ""


@dataclass(frozen=True)
class _Axis:
    start: datetime
    end: datetime
    columns: int

    def column(self, time: datetime) -> int:
        whole = max(1.0, (self.end - self.start).total_seconds())
        part = (time - self.start).total_seconds() / whole
        return min(self.columns - 1, max(0, round(part * (self.columns - 1))))


def picture(window: Window, now: datetime, width: int, glyphs: Glyphs = UNICODE) -> list[str]:
    start = min([window.earliest, *(mark.stop for mark in window.marks)])
    columns = min(max(width, NARROWEST), WIDEST) - 2 * _MARGIN
    axis = _Axis(start, max(now, window.latest), columns)
    rows = [_letters(axis, window.marks), _line(axis, window, glyphs), *_ticks(axis, glyphs)]
    return [
        f"storage {window.storage}: any moment from {clock(window.earliest)}",
        f"  to {clock(window.latest)} ({span(window.latest - window.earliest)}); {_count(window)}",
        *(f"{' ' * _MARGIN}{row}".rstrip() for row in rows),
        *_legend(rows, window, now, width, glyphs),
    ]


def _letters(axis: _Axis, marks: Sequence[Mark]) -> str:
    strongest: dict[int, str] = {}
    for mark in marks:
        column = axis.column(mark.stop)
        if _RANK.get(mark.kind, 0) > _RANK.get(strongest.get(column, ""), 0):
            strongest[column] = mark.kind
    return "".join(strongest[n][0].upper() if n in strongest else " " for n in range(axis.columns))


def _line(axis: _Axis, window: Window, glyphs: Glyphs) -> str:
    first, last = axis.column(window.earliest), axis.column(window.latest)
    after = glyphs.pending if window.archiving and not window.missing else glyphs.broken
    line = [" "] * first + [glyphs.covered] * (last - first + 1) + [after] * (axis.columns - last - 1)
    line[last] = glyphs.end
    for mark in window.marks:
        line[axis.column(mark.stop)] = glyphs.backup
    return "".join(line)


def _ticks(axis: _Axis, glyphs: Glyphs) -> list[str]:
    ticks, labels = [" "] * axis.columns, ""
    for time, label in round_times(axis.start, axis.end, axis.columns // 14):
        column = axis.column(time)
        if column >= len(labels) and column + len(label) <= axis.columns:
            ticks[column] = glyphs.tick
            labels = labels.ljust(column) + label + "  "
    return ["".join(ticks), labels]


def round_times(start: datetime, end: datetime, room: int) -> list[tuple[datetime, str]]:
    """Round times with their labels, about as many as there is *room* for."""
    length = end - start
    step = next((step for step in _STEPS if length / step <= max(1, room)), _STEPS[-1])
    form = "%m-%d" if step >= timedelta(days=1) else "%H:%M" if length < timedelta(days=1) else "%m-%d %H:%M"
    if length > timedelta(days=300):
        form = "%Y-%m-%d"
    found, time = [], _round_up(start, step)
    while time <= end:
        found.append((time, f"{time:{form}}"))
        time += step
    return found


def _round_up(time: datetime, step: timedelta) -> datetime:
    """The first multiple of *step* not before *time*: of hours from midnight, of weeks from a Monday, in UTC."""
    origin = datetime(2001, 1, 1, tzinfo=UTC)  # a Monday
    return origin + -((origin - time) // step) * step


def _count(window: Window) -> str:
    marks, cut = window.marks, window.cut
    counts = {kind: sum(mark.kind == kind for mark in marks) for kind in _RANK}
    number, least = len(marks), ""
    if cut is not None:
        known = {kind: count for kind in _RANK if (count := getattr(cut, kind)) is not None}
        least = "" if len(known) == len(counts) else "at least "
        counts = counts if least else known
        number = max(number, sum(counts.values()))
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    total = f"{least}{number} backup{'' if number == 1 else 's'}" + (f" ({said})" if said else "")
    return f"{total}, the newest drawn" if cut is not None else total


def _legend(rows: Sequence[str], window: Window, now: datetime, width: int, glyphs: Glyphs) -> list[str]:
    """What the signs mean, as many on a line as fit."""
    parts = [f"{kind[0].upper()} {kind}" for kind in _RANK if kind[0].upper() in rows[0]]
    parts.append(f"{glyphs.covered} recoverable")
    if window.missing:
        parts.append(f"{glyphs.broken} from WAL segment {window.missing} on, which is missing")
    elif now > window.latest:
        sign, word = (glyphs.pending, "not archived yet") if window.archiving else (glyphs.broken, "NOT archived")
        shown = f"{sign} " if sign in rows[1] else ""  # shorter than a column
        parts.append(f"{shown}last {span(now - window.latest)}: {word}")
    lines = [parts[0]]
    for part in parts[1:]:
        longer = f"{lines[-1]}   {part}"
        if _MARGIN + len(longer) <= min(max(width, NARROWEST), WIDEST):
            lines[-1] = longer
        else:
            lines.append(part)
    return [f"{' ' * _MARGIN}{line}" for line in lines]
