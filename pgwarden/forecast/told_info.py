"""A Repository's status in the form of `pgbackrest info`: what is worked out from the one is from the other. Pure.

The status lists the newest sets only, without their annotations.
"""

from __future__ import annotations

from collections.abc import Sequence

from pgwarden.api.objects import Object
from pgwarden.api.reading import get, moment, objects
from pgwarden.pgbackrest.info import OK, OTHER, Archive, BackupSet, Database, Info, RepoStatus
from pgwarden.rules import backup_sets
from pgwarden.rules.backup_sets import Held

_DATABASE = 1  # the status tells of one PostgreSQL cluster only


def of(repository: Object) -> Info:
    held = backup_sets.of(repository).held
    entries = {str(one.get("name")): one for one in objects(repository, "status", "storages")}
    sets = [found for one in held for entry in _entries(one) if (found := _set(entry, one))]
    return Info(
        stanza=get(repository, str, "metadata", "name") or "",
        code=OK,
        message="",
        backups=tuple(sorted(sets, key=lambda one: (one.stop, one.label, one.repo))),
        archives=tuple(_archive(one, entries.get(one.name, {})) for one in held),
        databases=tuple(Database(repo=one.repo, id=_DATABASE, system_id="", version="") for one in held),
        repos=tuple(_repo(one, entries.get(one.name, {})) for one in held),
    )


def cut(repository: Object) -> frozenset[int]:
    """The numbers of the storages that hold more sets than are listed, or may."""
    return frozenset(one.repo for one in backup_sets.of(repository).held if not one.whole)


def _entries(held: Held) -> Sequence[Object]:
    """What is listed; where all of it is older than the list, the newest alone: what is before it is not told."""
    newest = max(held.told, key=lambda one: str(one.get("stopTime", "")), default=None)
    return held.listed or ([newest] if newest else [])


def _set(entry: Object, held: Held) -> BackupSet | None:
    stop, label = moment(entry.get("stopTime")), get(entry, str, "label")
    if stop is None or not label:
        return None
    return BackupSet(
        label=label,
        type=get(entry, str, "type") or "",
        repo=held.repo,
        database_id=_DATABASE,
        start=moment(entry.get("startTime")) or stop,
        stop=stop,
        database_size=get(entry, int, "databaseSize") or 0,
        database_delta=0,
        repository_delta=get(entry, int, "backupSize") or 0,
        wal_start=get(entry, str, "walStart") or "",
        wal_stop=get(entry, str, "walStop") or "",
        lsn_start=get(entry, str, "lsnStart") or "",
        lsn_stop=get(entry, str, "lsnStop") or "",
        error=bool(entry.get("error")),
    )


def _archive(held: Held, entry: Object) -> Archive:
    return Archive(repo=held.repo, database_id=_DATABASE, id="", max=get(entry, str, "lastWal") or "")


def _repo(held: Held, entry: Object) -> RepoStatus:
    away = get(entry, bool, "reachable") is False
    return RepoStatus(repo=held.repo, code=OTHER if away else OK, message=get(entry, str, "message") or "", cipher="")
