"""The point that a Restore goes to: its form, and whether the Repository can get there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from pgwarden.api.faults import Waits
from pgwarden.api.judging import Case
from pgwarden.api.objects import Object
from pgwarden.api.reading import condition, get, moment, objects
from pgwarden.api.reasons import HELD, NO_PRIMARY
from pgwarden.api.target import TargetError, lsn_text, parse_lsn, parse_time, rfc3339
from pgwarden.rules import backup_sets, restore_timeline, taken_back, wal_gaps
from pgwarden.rules.backup_sets import BackupSets

KINDS = ("time", "lsn", "xid", "name", "immediate")
#: PostgreSQL's NAMEDATALEN, with the byte that ends the name.
_NAME_BYTES = 63
_FIRST_XID = 3


class Window(msgspec.Struct, frozen=True):
    """What one storage can recover to, as far as the Repository's status knows."""

    storage: str
    earliest: datetime
    latest: datetime | None


def check(case: Case, repository: Object | None) -> None:
    sets, wanted = _sets(case, repository), _set(case)
    restore_timeline.check(case, sets, wanted, repository)
    target = case.get(dict, "target")
    _check_gaps(case, repository, target)
    if target is None:
        return
    given = [kind for kind in KINDS if target.get(kind) is not None and target.get(kind) is not False]
    if len(given) != 1:
        named = f"sets {' and '.join(given)}" if given else "is empty"
        message = f"{named}; set exactly one of {', '.join(KINDS)}, or omit target for the latest WAL"
        case.refuse("spec.target", None, message, "target")
    timeline = case.get(str, "targetTimeline")
    if "immediate" in given and timeline:
        message = "cannot be combined with target immediate, which ends on the backup's own timeline; omit it"
        case.refuse("spec.targetTimeline", timeline, message, "timeline")
    _check_name(case, target)
    _check_xid(case, target)
    _check_lsn(case, target, sets, wanted)
    _check_time(case, target, repository)


def _check_gaps(case: Case, repository: Object | None, target: dict[str, Any] | None) -> None:
    asked = wal_gaps.Wanted(
        storage=case.get(str, "storage") or "", set=_set(case), timeline=case.get(str, "targetTimeline") or "",
        target=target,
    )  # fmt: skip
    problem = wal_gaps.problem(repository, asked)
    if problem:
        kind = next((one for one in ("time", "lsn") if asked.given(one)), "")
        field = f"spec.target.{kind}" if kind else "spec.target"
        value = asked.given(kind) if kind else "the latest state"
        case.refuse(field, str(value)[:80], problem, "window", Waits.OUTSIDE_WINDOW)


def _check_name(case: Case, target: dict[str, Any]) -> None:
    name = target.get("name")
    if not isinstance(name, str):
        return
    size = len(name.encode(errors="surrogatepass"))
    if size > _NAME_BYTES:
        message = f"must have at most {_NAME_BYTES} bytes, not {size}"
        case.refuse("spec.target.name", name[:80], message, "target")
    elif any(ord(letter) < 32 or ord(letter) == 127 or 0xD800 <= ord(letter) < 0xE000 for letter in name):
        case.refuse("spec.target.name", name, "must not contain control characters", "target")


def _check_xid(case: Case, target: dict[str, Any]) -> None:
    xid = target.get("xid")
    if not isinstance(xid, str):
        return
    if not (xid.isascii() and xid.isdigit() and len(xid) <= 20):
        case.refuse("spec.target.xid", xid[:50], "must be a transaction ID, such as 1234", "target")
    elif int(xid) >= 2**64 or int(xid) % 2**32 < _FIRST_XID:
        message = f"is not a transaction ID: IDs start at {_FIRST_XID} and fit in 64 bits"
        case.refuse("spec.target.xid", xid, message, "target")


def _check_lsn(case: Case, target: dict[str, Any], sets: BackupSets, label: str) -> None:
    text = target.get("lsn")
    if not isinstance(text, str):
        return
    try:
        wanted = parse_lsn(text)
    except TargetError as error:
        case.refuse("spec.target.lsn", text[:50], str(error), "target")
        return
    first = sets.first_lsn(label)
    if first is not None and wanted < first:
        message = f"is before {lsn_text(first)}, the end of the oldest usable backup; choose a later position"
        case.refuse("spec.target.lsn", text, message, "window", Waits.OUTSIDE_WINDOW)


def _check_time(case: Case, target: dict[str, Any], repository: Object | None) -> None:
    text = target.get("time")
    if not isinstance(text, str):
        return
    try:
        wanted = parse_time(text)
    except TargetError as error:
        case.refuse("spec.target.time", text[:80], str(error), "target")
        return
    if wanted > case.now:
        today = rfc3339(case.now.replace(microsecond=0))
        message = f"is in the future (now: {today}); omit target for the latest WAL"
        case.refuse("spec.target.time", text, message, "window", Waits.OUTSIDE_WINDOW)
    elif repository is not None:
        problem = _reach_problem(case, repository, wanted)
        if problem:
            case.refuse("spec.target.time", text, problem, "window", Waits.OUTSIDE_WINDOW)
        elif not case.get(str, "targetTimeline"):
            _check_taken_back(case, repository, text, wanted)


def _check_taken_back(case: Case, repository: Object, text: str, wanted: datetime) -> None:
    of = (get(repository, str, "metadata", "namespace") or "", get(repository, str, "metadata", "name") or "")
    problem = taken_back.problem(case.lookup.restores(*of), wanted)
    if problem:
        case.refuse("spec.target.time", text, problem, "timeline", Waits.OUTSIDE_WINDOW)


def _reach_problem(case: Case, repository: Object, wanted: datetime) -> str:
    name = get(repository, str, "metadata", "name")
    windows = _windows(case, repository)
    earliest = min((window.earliest for window in windows), default=wanted)
    if not windows or (wanted < earliest and not _sets(case, repository).known):
        case.note(
            f"the recovery window of Repository {name} is not known yet: the target is checked again before anything "
            "is stopped"
        )
        return ""
    stop = _set_stop(case, repository)
    if wanted < earliest and not _is_of_other_version(case, repository):
        return (
            f"is before {rfc3339(earliest)}, the earliest time that Repository {name} can recover to"
            f"{_on(case, 'from')}{_before_upgrade(case, repository)}"
        )
    if stop is not None and wanted < stop:
        return f"is before {rfc3339(stop)}, the end of backup {case.get(str, 'set')}; choose an older set, or omit set"
    latest = [window.latest for window in windows if window.latest]
    archives = condition(repository, "Archiving") == "True" or _goes_on(case, repository) or _is_dead(repository)
    if latest and wanted > max(latest) and not archives:
        return (
            f"is after {rfc3339(max(latest))}, the latest time that Repository {name} has archived{_on(case, 'in')}, "
            "and it is not archiving (see its condition Archiving)"
        )
    return ""


def _is_of_other_version(case: Case, repository: Object) -> bool:
    """Whether the chosen set was made before a major upgrade: the recovery window is that of what came after."""
    label = _set(case)
    listed = _sets(case, repository).labelled(label) if label else []
    return any(get(entry, str, "postgresVersion") for entry in listed)


def _before_upgrade(case: Case, repository: Object) -> str:
    """How a time before a major upgrade is reached; the end of a sentence."""
    listed = _sets(case, repository).newest_first
    found = next((entry for entry in listed if get(entry, str, "postgresVersion")), None)
    if found is None:
        return ""
    return f"; backups of PostgreSQL {found['postgresVersion']} are chosen by spec.set, such as {found.get('label')}"


def _is_dead(repository: Object) -> bool:
    """Whether PostgreSQL does not run: then the Restore archives what it has left, and goes as far as that."""
    found = objects(repository, "status", "conditions")
    return any(one.get("type") == "Archiving" and one.get("reason") in {NO_PRIMARY, *HELD} for one in found)


def _goes_on(case: Case, repository: Object) -> bool:
    """Whether only another storage keeps it from archiving: then WAL goes on into the one to restore from. Whether that
    is so for this target, the Restore finds out before anything is touched.
    """
    storage, entries = case.get(str, "storage"), objects(repository, "status", "storages")
    ready = [entry for entry in entries if entry.get("ready") is True and storage in {None, "", entry.get("name")}]
    return bool(ready) and any(entry.get("reachable") is False for entry in entries)


def _on(case: Case, preposition: str) -> str:
    storage = case.get(str, "storage")
    return f" {preposition} storage {storage}" if storage else ""


def _windows(case: Case, repository: Object) -> list[Window]:
    storage = case.get(str, "storage")
    windows = []
    for entry in objects(repository, "status", "recoveryWindow"):
        earliest, latest = moment(entry.get("earliest")), moment(entry.get("latest"))
        name = get(entry, str, "storage") or ""
        if earliest is not None and storage in {None, "", name}:
            windows.append(Window(name, earliest, latest))
    return windows


def _sets(case: Case, repository: Object | None) -> BackupSets:
    """Those in the storages that this Restore may begin from."""
    return backup_sets.of(repository).of_storage(case.get(str, "storage"))


def _set(case: Case) -> str:
    """The label of the one set that this Restore begins from; empty where pgBackRest chooses."""
    wanted = case.get(str, "set") or ""
    return "" if wanted == "latest" else wanted


def _set_stop(case: Case, repository: Object) -> datetime | None:
    label = _set(case)
    listed = _sets(case, repository).labelled(label) if label else []
    return min((stop for entry in listed if (stop := moment(entry.get("stopTime")))), default=None)
