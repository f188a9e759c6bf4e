"""What each storage of a Repository holds, and what is wrong with it. Pure.

A Repository with two storages has two copies only where both hold backups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pgwarden.api.objects import Object
from pgwarden.api.reading import found_condition, get, objects
from pgwarden.cli.output import clock, count
from pgwarden.cli.protection_window import windows
from pgwarden.cli.short_messages import described

#: Reasons of Reachable that are no good news though the storage answers.
_GOING = frozenset({"ClaimTerminating", "VolumeLost"})
_NAMED = 3


def lines(repository: Object) -> list[str]:
    """A line for each storage, where there are several or one is in a bucket."""
    listed = objects(repository, "status", "storages")
    if len(listed) < 2 and not any(map(_bucket, listed)):
        return []
    width = max(len(str(one.get("name"))) for one in listed)
    return [f"{one.get('name')!s:<{width}}  {_held(repository, one)}{_bucket(one)}" for one in listed]


def notes(repository: Object) -> Iterator[str]:
    for one in objects(repository, "status", "storages"):
        warning = get(one, str, "immutable", "warning")
        if warning:
            yield f"storage {one.get('name')}: {warning}"


def _bucket(storage: Object) -> str:
    """What its bucket keeps of what is deleted; the end of a line, empty where it is none or was not asked yet."""
    found = get(storage, dict, "immutable")
    if not found:
        return ""
    mode, days = get(found, str, "objectLock", "mode"), get(found, int, "objectLock", "days")
    lock = f", objects locked for {count(days, 'day')} ({mode})" if mode and days is not None else ""
    why = f" ({found['reason']})" if found.get("reason") else ""
    return f"; bucket: versioning {found.get('versioning')}{lock}{why}"


def wrong(repository: Object) -> Iterator[str]:
    reachable = found_condition(repository, "Reachable")
    if reachable.get("status") == "True" and reachable.get("reason") in _GOING:
        yield described(repository, str(reachable.get("message")))
    owed = {str(one.get("storage")): one for one in objects(repository, "status", "fullBackupOwed")}
    for storage, one in owed.items():
        yield f"storage {storage} needs a full backup: {one.get('message')}"
    name = repository["metadata"]["name"]
    listed = objects(repository, "status", "storages")
    if not any(one.get("backupCount") for one in listed):
        return  # that nothing can be recovered is said once
    for one in listed:
        if one.get("backupCount") == 0 and str(one.get("name")) not in owed:
            command = f"kubectl pgwarden backup {name} --pgbackrest-storage-type={one.get('name')}"
            yield f"storage {one.get('name')} holds no backup: `{command}` takes one"


def gone(backups: Iterable[Object]) -> Iterator[str]:
    """Backups that are Completed, whose sets nobody expired."""
    named = [str(one["metadata"]["name"]) for one in backups if _is_gone(one)]
    if named:
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        what, sets = ("Backup", "its set is") if len(named) == 1 else ("Backups", "their sets are")
        yield f"{what} {', '.join(named[:_NAMED])}{more}: {sets} gone from the repository, not by retention"


def _is_gone(backup: Object) -> bool:
    found = objects(backup, "status", "conditions")
    return any(one.get("type") == "Available" and one.get("reason") == "Gone" for one in found)


def _held(repository: Object, storage: Object) -> str:
    number = get(storage, int, "backupCount")
    if number is None:
        return "not known yet"
    if not number:
        return "NO BACKUP"
    newest = next((one for one in windows(repository) if one.storage == storage.get("name")), None)
    held = count(number, "backup")
    return f"{held}, since {clock(newest.since)}, up to {clock(newest.until)}" if newest else held
