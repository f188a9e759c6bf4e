"""The moments that a Repository can be recovered to without a hole, of all its storages together. Pure.

Missing WAL parts what a storage holds into windows, and nothing between them can be recovered from it. What one storage
lacks another one may have: windows that overlap are one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pgwarden.api.objects import Object
from pgwarden.api.reading import objects
from pgwarden.cli.output import clock, moment


@dataclass(frozen=True)
class Window:
    storage: str
    since: datetime
    until: datetime
    missing: str  # the WAL segment that ends it; empty where none does


@dataclass(frozen=True)
class Reach:
    """The newest stretch without a hole, and what lies before the hole."""

    since: datetime | None = None
    until: datetime | None = None
    earlier: tuple[Window, ...] = ()


def windows(repository: Object) -> list[Window]:
    """The one that ends last comes first."""
    found = []
    for one in objects(repository, "status", "recoveryWindow"):
        since, until = moment(one.get("earliest")), moment(one.get("latest"))
        if since is not None:
            found.append(
                Window(str(one.get("storage")), since, max(until or since, since), str(one.get("missing") or ""))
            )
    return sorted(found, key=lambda one: (one.until, one.since), reverse=True)


def reach(repository: Object) -> Reach:
    listed = windows(repository)
    if not listed:
        return Reach()
    since, earlier = listed[0].since, []
    for one in listed[1:]:
        if one.until > since:
            since = min(since, one.since)
        else:
            earlier.append(one)
    return Reach(since, listed[0].until, tuple(earlier))


def told(one: Window) -> str:
    """A window before the hole."""
    hole = f": WAL segment {one.missing} is missing after that" if one.missing else ""
    return f"storage {one.storage} has an earlier window, from {clock(one.since)} up to {clock(one.until)}{hole}"
