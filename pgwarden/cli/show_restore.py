"""show restore: all of them, and of a single one what was expected, how it stands and what it has done. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pgwarden.api.objects import Object
from pgwarden.api.quantity import size
from pgwarden.api.reading import get, objects
from pgwarden.cli import output, recovery_view
from pgwarden.cli.output import clock, moment, row, span
from pgwarden.cli.short_messages import described

_HEADS = ("RESTORE", "REPOSITORY", "PHASE", "STEP", "STARTED", "RECOVERED TO")


def lines(found: list[Object], now: datetime, *, whole: bool) -> list[str]:
    """*whole*: one was asked for by its name."""
    if not found:
        return []
    table = output.table(_HEADS, [_row(one) for one in found])
    said = [line for one in found for line in _message(one)]
    if not whole or len(found) != 1:
        return [*table, *said]
    (one,) = found
    rest = [_steps(one), _forecast(one), recovery_view.lines(one, now)]
    return [*table, *said, *(line for block in rest if block for line in ("", *block))]


def _row(restore: Object) -> tuple[Any, ...]:
    status = restore.get("status") or {}
    return (
        restore["metadata"]["name"],
        get(restore, str, "spec", "repository"),
        status.get("phase") or "Pending",
        status.get("step"),
        clock(moment(status.get("startTime"))),
        clock(moment(status.get("recoveredTo"))) or status.get("recoveredTo"),
    )


def _message(restore: Object) -> list[str]:
    """Below the table: a sentence in a column would make every row too wide."""
    name, status = restore["metadata"]["name"], restore.get("status") or {}
    message = described(restore, status.get("message"))
    kept = status.get("keptClaim")
    own = [f"  {name}: {message}"] if message else []
    if kept and kept not in str(status.get("message")):
        own.append(f"  {name}: the old data is kept as claim {kept}")
    return own


def _steps(restore: Object) -> list[str]:
    marks = {"True": "done", "False": "failed", "Unknown": ""}
    rows = []
    for one in objects(restore, "status", "conditions"):
        state = marks.get(str(one.get("status")), "")
        settled = one.get("status") == "False" and one.get("reason") in {"NotNeeded", "ArchivedOnly", "BackupFailed"}
        at = clock(moment(one.get("lastTransitionTime")))
        rows.append((one.get("type"), one.get("reason") if settled else state or one.get("reason"), at))
    return output.table(("STEP", "STATE", "SINCE"), rows) if rows else []


def _forecast(restore: Object) -> list[str]:
    expected = get(restore, dict, "status", "forecast") or {}
    if not expected:
        return []
    begun = f"backup {expected.get('set')} ({expected.get('type')}, storage {expected.get('storage')})"
    undone = get(restore, str, "spec", "undo")
    return [
        "forecast",
        *row("undoes", f"Restore {undone}" if undone else ""),
        *row("begins with", begun if expected.get("set") else ""),
        *row("takes", _takes(expected)),
        *row("lost", str(expected.get("lost") or "")),
    ]


def _takes(expected: Object) -> str:
    seconds = get(expected, int, "seconds")
    copied = size(get(expected, int, "copyBytes"))
    wal = get(expected, int, "walSegments")
    parts = [f"{copied} to copy" if copied else "", f"{output.count(wal, 'WAL segment')} to replay" if wal else ""]
    told = ", ".join(part for part in parts if part)
    return told + (f", about {span(timedelta(seconds=seconds))}" if seconds is not None else "")
