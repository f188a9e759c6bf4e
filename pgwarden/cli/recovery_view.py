"""A recovery as it stands, by `status.recovery` of its Restore or of the PostgresCluster that begins with it: a line
while waiting, more in `show restore` and `show cluster`. Pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pgwarden.api.objects import Object
from pgwarden.api.quantity import size
from pgwarden.api.reading import get
from pgwarden.cli.output import clock, count, moment, row, span
from pgwarden.contract import recovery

#: A recovery that has not moved for so long is said to stand still.
STILL = timedelta(seconds=30)
_DOES = {
    recovery.COPYING: "copying backup set",
    recovery.STARTING: "starting PostgreSQL on the new volume",
    recovery.REPLAYING: "replaying WAL",
    recovery.FOLLOWING: "all archived WAL is replayed; following the archive",
    recovery.PROMOTING: "promoting",
    recovery.STOPPING: "shutting down cleanly",
}


def of(obj: Object) -> Object:
    """Its recovery; empty where there is none, or none that is under way."""
    return get(obj, dict, "status", "recovery") or {}


def is_under_way(obj: Object) -> bool:
    """A PostgresCluster is Creating meanwhile."""
    return bool(of(obj)) and get(obj, str, "status", "phase") in {"Running", "Creating"} and not _is_done(obj)


def _is_done(restore: Object) -> bool:
    return get(restore, str, "status", "step") in {"Swapped", "Started", "BackedUp"}


def percent(found: Object) -> str:
    """Copied, as pgBackRest writes it: 37.20."""
    value = _number(found, "copiedPercent")
    return f"{value:.2f}" if value is not None and found.get("phase") == recovery.COPYING else ""


def short(found: Object, now: datetime) -> str:
    """`replaying WAL, at 0000000100000000000000A1, 40 segments to go, about 20 s`."""
    phase = str(found.get("phase") or "")
    parts = [_DOES.get(phase, phase)]
    if phase == recovery.COPYING:
        parts += [_copied(found)]
    if phase in {recovery.REPLAYING, recovery.FOLLOWING}:
        parts += [_position(found), _to_go(found)]
    return ", ".join(part for part in (*parts, _stands(found, now)) if part)


def _copied(found: Object) -> str:
    done = get(found, int, "copiedBytes")
    return f"{size(done)} so far" if done is not None else ""


def _position(found: Object) -> str:
    return f"at {found['segment']}" if found.get("segment") else ""


def _to_go(found: Object) -> str:
    left, rate = get(found, int, "remaining"), _number(found, "rate")
    if not left:
        return ""
    takes = f", about {span(timedelta(seconds=max(1, left / rate)))}" if rate else ""
    return f"{count(left, 'segment')} to go{takes}"


def _stands(found: Object, now: datetime) -> str:
    """What stands in the way, and since when nothing moves."""
    advanced = moment(found.get("advanced"))
    still = now - advanced if advanced else timedelta()
    since = f"stands still since {span(still)}" if still >= STILL and found.get("phase") != recovery.FOLLOWING else ""
    said = str(found.get("message") or "")
    reason = f"{found.get('reason')}: {said}" if found.get("reason") else ""
    return ", ".join(part for part in (since, reason) if part)


def lines(obj: Object, now: datetime) -> list[str]:
    """All that is known of it, below the table of `show restore NAME` or `show cluster NAME`."""
    found = of(obj)
    if not found:
        return []
    heading = "recovery" if is_under_way(obj) else "recovery, as it was last"
    copied, total = get(found, int, "copiedBytes"), get(obj, int, "status", "forecast", "copyBytes")
    of_all = f" of {size(total)}" if total else ""
    share = f" ({_number(found, 'copiedPercent'):.1f} %)" if _number(found, "copiedPercent") is not None else ""
    log = [str(line) for line in get(found, list, "log") or []]
    return [
        f"{heading}: {_DOES.get(str(found.get('phase')), found.get('phase') or 'not begun')}",
        *row("set", str(found.get("set") or "")),
        *row("copied", f"{size(copied)}{of_all}{share}" if copied is not None else ""),
        *row("replayed", _replayed(found)),
        *row("to go", _to_go(found) if is_under_way(obj) else ""),
        *row("rate", _rate(found)),
        *row("advanced", clock(moment(found.get("advanced")))),
        *row("stands", _stands(found, now) if is_under_way(obj) else ""),
        *(row("log", *log) if log else []),
    ]


def _replayed(found: Object) -> str:
    number, at = get(found, int, "segments"), found.get("segment")
    parts = [count(number, "WAL segment") if number is not None else "", f"up to {at}" if at else ""]
    commit = clock(moment(found.get("lastReplayTime")))
    return " ".join(part for part in parts if part) + (f" (last commit {commit})" if commit else "")


def _rate(found: Object) -> str:
    rate = _number(found, "rate")
    return f"{rate:.1f} segments a second, over the last minute" if rate is not None else ""


def _number(found: Object, field: str) -> float | None:
    value: Any = found.get(field)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
