"""Whether a Restore's target lies behind WAL that is missing, by the Repository's status. Pure.

The status has the windows of each storage: one that ends at a gap names the segment that is `missing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from pgwarden.api.objects import Object
from pgwarden.api.reading import moment, objects
from pgwarden.api.target import TargetError, parse_lsn, parse_time, rfc3339, timeline_of_segment
from pgwarden.contract import server_facts
from pgwarden.pgbackrest import wal
from pgwarden.rules import backup_sets
from pgwarden.rules.backup_sets import BackupSets


class Window(msgspec.Struct, frozen=True):
    storage: str
    earliest: datetime
    latest: datetime
    missing: str  # the segment that ends it; empty where WAL goes on


class Wanted(msgspec.Struct, frozen=True):
    """What a Restore asks for; empty where it leaves the choice."""

    storage: str = ""
    set: str = ""
    timeline: str = ""
    target: Mapping[str, Any] | None = None  # None: the latest state

    def given(self, kind: str) -> Any:
        return (self.target or {}).get(kind) or None


def problem(repository: Object | None, wanted: Wanted) -> str:
    """Why recovery would end before the target; empty where it would not, or that is not known beforehand."""
    windows = _windows(repository, wanted.storage)
    sets = backup_sets.of(repository).of_storage(wanted.storage)
    if not any(one.missing for one in windows) or wanted.timeline not in {"", "latest", "current"}:
        return ""
    if wanted.set and wanted.set != "latest":
        return _behind(repository, sets, _of_set(windows, sets, wanted.set), wanted, _omit_set(windows))
    return _behind(repository, sets, windows, wanted)


def _behind(
    repository: Object | None, sets: BackupSets, windows: list[Window], wanted: Wanted, otherwise: str = ""
) -> str:
    """*otherwise* is another way out, where a later window is none."""
    end: Window | None = None
    if wanted.given("lsn"):
        end = _by_position(repository, sets, windows, wanted)
    elif wanted.given("time"):
        end = _by_time(windows, str(wanted.given("time")))
    elif not any(wanted.given(kind) for kind in ("immediate", "xid", "name")):
        newest = {one.storage: one for one in reversed(windows)}
        if all(one.missing for one in newest.values()):
            end = max(newest.values(), key=lambda one: one.latest, default=None)
    return _sentence(windows, end, otherwise) if end and not _is_filled(repository, end) else ""


def _is_filled(repository: Object | None, end: Window) -> bool:
    """Whether another storage that can be read has what is missing: recovery takes each segment from where it is."""
    away = {str(one.get("name")) for one in objects(repository, "status", "storages") if one.get("reachable") is False}
    others = [one for one in _windows(repository, "") if one.storage not in {end.storage, *away}]
    return any(one.earliest <= end.latest and (not one.missing or one.latest > end.latest) for one in others)


def _omit_set(windows: list[Window]) -> str:
    return ", or omit set" if len({one.earliest for one in windows}) > 1 else ""


def _windows(repository: Object | None, storage: str) -> list[Window]:
    """Newest first."""
    found = []
    for entry in objects(repository, "status", "recoveryWindow"):
        earliest, latest = moment(entry.get("earliest")), moment(entry.get("latest"))
        name, missing = str(entry.get("storage") or ""), str(entry.get("missing") or "")
        if earliest is not None and latest is not None and storage in {"", name}:
            found.append(Window(name, earliest, latest, missing))
    return sorted(found, key=lambda one: one.earliest, reverse=True)


def _of_set(windows: list[Window], sets: BackupSets, label: str) -> list[Window]:
    """The windows that the set lies in: one in each storage that has it."""
    found = []
    for one in sets.labelled(label):
        stop = moment(one.get("stopTime"))
        own = [window for window in windows if window.storage == one.get("storage")]
        found += [window for window in own if stop is not None and window.earliest <= stop][:1]
    return found


def _by_time(windows: list[Window], text: str) -> Window | None:
    """The window that ends before the moment, where no other holds it."""
    try:
        time = parse_time(text)
    except TargetError:
        return None
    begun = [one for one in windows if one.earliest <= time]
    if any(not one.missing or time <= one.latest for one in begun):
        return None
    return max(begun, key=lambda one: one.latest, default=None)


def _by_position(repository: Object | None, sets: BackupSets, windows: list[Window], wanted: Wanted) -> Window | None:
    """The same for a position: in no storage there is a set before it, with all WAL from that on."""
    try:
        position = parse_lsn(str(wanted.given("lsn")))
    except TargetError:
        return None
    size = server_facts.of(repository).wal_segment_size or wal.SEGMENT_SIZE
    ends: list[Window] = []
    for storage in {one.storage for one in windows}:
        own = [one for one in sets.of_storage(storage).newest_first if _lsn(one) <= position]
        own = [one for one in own if wanted.set in {"", "latest", one.get("label")}]
        start = max((str(one.get("walStart") or "")[8:] for one in own), default="")
        ahead = [one for one in windows if one.storage == storage and one.missing and one.missing[8:] >= start]
        first = min(ahead, key=lambda one: one.missing[8:], default=None)
        if first is None or not start or not _is_segment(first.missing):
            return None
        if position < wal.position(first.missing, size):
            return None
        ends.append(first)
    return max(ends, key=lambda one: one.latest, default=None)


def _is_segment(text: str) -> bool:
    return timeline_of_segment(text) is not None


def _lsn(one: Object) -> int:
    try:
        return parse_lsn(str(one.get("lsnStop")))
    except TargetError:
        return 2**64


def _sentence(windows: list[Window], end: Window, otherwise: str) -> str:
    later = [one.earliest for one in windows if one.earliest > end.latest]
    more = f", or from {rfc3339(min(later))} on" if later else otherwise
    return (
        f"cannot be reached: WAL segment {end.missing} is missing in storage {end.storage}, so recovery ends at "
        f"{rfc3339(end.latest)}; choose a target time up to then{more}"
    )
