"""show drill: all of them, and of a single one what was measured and what each check found. Pure."""

from __future__ import annotations

from datetime import timedelta

from pgwarden.api.objects import Object
from pgwarden.api.quantity import size
from pgwarden.api.reading import get, objects
from pgwarden.cli import output
from pgwarden.cli.output import clock, moment, row, span
from pgwarden.cli.short_messages import described
from pgwarden.contract import last_drills

_HEADS = ("DRILL", "REPOSITORY", "PHASE", "RECOVERED TO", "RESTORED IN", "ENDED")


def lines(found: list[Object], *, whole: bool) -> list[str]:
    """*whole*: some were asked for by a name."""
    if not found:
        return []
    said = [line for one in found for line in _message(one, whole=whole)]
    more = [line for one in found for line in (_measured(one), _checks(one)) if whole and line]
    return [*output.table(_HEADS, map(_row, found)), *said, *(text for block in more for text in ("", *block))]


def _row(drill: Object) -> tuple[str, ...]:
    status = drill.get("status") or {}
    seconds = last_drills.seconds_of(status)
    return (
        str(drill["metadata"]["name"]),
        get(drill, str, "spec", "repository") or "",
        str(status.get("phase") or "Pending"),
        str(status.get("recoveredTo") or ""),
        span(timedelta(seconds=seconds)) if seconds is not None else "",
        clock(moment(status.get("completionTime"))),
    )


def _message(drill: Object, *, whole: bool) -> list[str]:
    status = drill.get("status") or {}
    if not status.get("message") or (status.get("phase") == "Completed" and not whole):
        return []
    return [f"  {drill['metadata']['name']}: {described(drill, status['message'])}"]


def _measured(drill: Object) -> list[str]:
    status = drill.get("status") or {}
    seconds = {
        part: span(timedelta(seconds=took))
        for part, took in (status.get("seconds") or {}).items()
        if isinstance(took, int) and not isinstance(took, bool)
    }
    found = [
        *row("set", str(status.get("set") or "")),
        *row("copied", size(get(drill, int, "status", "bytes")) or ""),
        *row("took", ", ".join(f"{part} {took}" for part, took in seconds.items())),
    ]
    return [f"{drill['metadata']['name']}", *found] if found else []


def _checks(drill: Object) -> list[str]:
    rows = [(one.get("name"), one.get("outcome"), one.get("message")) for one in objects(drill, "status", "checks")]
    return output.table(("CHECK", "OUTCOME", "FOUND"), rows) if rows else []
