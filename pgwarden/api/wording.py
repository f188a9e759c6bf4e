"""Times, spans and counts for people, in a status and on a terminal alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def count(number: int, noun: str) -> str:
    """1 backup, 2 backups."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def clock(time: datetime | None) -> str:
    """2026-11-23 10:00:00Z: as PostgreSQL writes it, and as --pitr-target takes it."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z" if time else ""


def span(length: timedelta) -> str:
    """The two largest units: 18 d 23 h, 3 min 5 s."""
    seconds = max(0, int(length.total_seconds()))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        parts.append((count, unit))
    first = next((n for n, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"
