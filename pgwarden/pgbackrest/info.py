"""What `pgbackrest info --output=json` says, as typed values."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec

from pgwarden.api import outside
from pgwarden.pgbackrest import info_words

#: Bytes of `info` that are looked at.
MOST = 32 * 1024 * 1024
#: pgBackRest's codes for a stanza or one of its repositories.
OK, MISSING_PATH, NO_BACKUP, MISSING_DATA, MIXED, PG_MISMATCH, BACKUP_MISSING, OTHER = 0, 1, 2, 3, 4, 5, 6, 99


class InfoError(ValueError):
    """The text is not what `info --output=json` prints."""


class BackupSet(msgspec.Struct, frozen=True, kw_only=True):
    label: str
    type: str  # full | diff | incr
    repo: int
    database_id: int
    start: datetime
    stop: datetime
    database_size: int  # bytes of the database
    database_delta: int  # bytes of it that had to be copied
    repository_delta: int  # bytes that the set added to the repository
    prior: str = ""
    references: tuple[str, ...] = ()
    wal_start: str = ""
    wal_stop: str = ""
    lsn_start: str = ""
    lsn_stop: str = ""
    annotations: dict[str, str] = {}
    error: bool = False  # pages with wrong checksums were found


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """The WAL of one PostgreSQL cluster (database_id) in one repository; empty where there is none yet."""

    repo: int
    database_id: int
    id: str
    min: str = ""
    max: str = ""


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """One PostgreSQL cluster that the repository has seen; the one with the highest id is the current one."""

    repo: int
    id: int
    system_id: str
    version: str


class RepoStatus(msgspec.Struct, frozen=True, kw_only=True):
    repo: int
    code: int
    message: str
    cipher: str


class Info(msgspec.Struct, frozen=True, kw_only=True):
    stanza: str
    code: int
    message: str
    backups: tuple[BackupSet, ...] = ()  # oldest first
    archives: tuple[Archive, ...] = ()
    databases: tuple[Database, ...] = ()
    repos: tuple[RepoStatus, ...] = ()
    backup_running: bool = False
    restore_running: bool = False

    def current(self, repo: int) -> Database | None:
        return max((base for base in self.databases if base.repo == repo), key=lambda base: base.id, default=None)

    @property
    def system_id(self) -> str:
        current = self._any_current()
        return current.system_id if current else ""

    @property
    def version(self) -> str:
        current = self._any_current()
        return current.version if current else ""

    def backup(self, label: str, repo: int | None = None) -> BackupSet | None:
        """The set *label*; in any repository where *repo* is None."""
        return next((one for one in self.backups if one.label == label and repo in {None, one.repo}), None)

    def version_of(self, one: BackupSet) -> str | None:
        """Of the PostgreSQL that *one* is a backup of; None where the repository does not say."""
        found = self._database_of(one)
        return found.version if found else None

    def system_id_of(self, one: BackupSet) -> str | None:
        """The system identifier of the PostgreSQL that *one* is a backup of; None where the repository does not say."""
        found = self._database_of(one)
        return found.system_id if found else None

    def annotated(self, key: str, value: str) -> BackupSet | None:
        """The newest set that carries the annotation."""
        return next((one for one in reversed(self.backups) if one.annotations.get(key) == value), None)

    def archive(self, repo: int) -> Archive | None:
        """The WAL of the current cluster in *repo*."""
        current = self.current(repo)
        wanted = (one for one in self.archives if one.repo == repo and current and one.database_id == current.id)
        return next(wanted, None)

    def trouble(self, repo: int) -> str | None:
        """Why storage *repo* could not be read, in pgBackRest's words; None where it was, or is not configured."""
        return next((one.message for one in self.repos if one.repo == repo and one.code == OTHER), None)

    def _database_of(self, one: BackupSet) -> Database | None:
        return next((db for db in self.databases if (db.repo, db.id) == (one.repo, one.database_id)), None)

    def _any_current(self) -> Database | None:
        return next((base for repo in self.repos if (base := self.current(repo.repo))), None)


def parse_info(document: str | bytes | list[Any], stanza: str) -> Info | None:
    """None where the repository knows no such stanza. *document* is the text, or its already decoded JSON."""
    decoded = document if isinstance(document, list) else outside.decode(document, most=MOST)
    if decoded is None:
        raise InfoError("not the output of pgbackrest info: it is no JSON, too long, or nested too deeply")
    try:
        found = next((entry for entry in decoded if entry["name"] == stanza), None)
        return None if found is None else _info(found)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:
        raise InfoError(f"not the output of pgbackrest info: {type(error).__name__}: {error}") from error


def recovery_window(info: Info) -> dict[int, datetime]:
    """For each repository, the moment that recovery can begin at: the end of its oldest usable backup.

    Usable is a backup of the current cluster, without page errors, whose WAL from its start on is still in the archive.
    """
    window: dict[int, datetime] = {}
    for backup in info.backups:
        if backup.repo not in window and usable(info, backup):
            window[backup.repo] = backup.stop
    return window


def usable(info: Info, backup: BackupSet) -> bool:
    current, archive = info.current(backup.repo), info.archive(backup.repo)
    if backup.error or current is None or backup.database_id != current.id:
        return False
    # The first eight digits are the timeline: a backup of an older one goes on in the WAL of its descendants.
    return archive is not None and bool(archive.min) and backup.wal_start[8:] >= archive.min[8:]


def _info(entry: dict[str, Any]) -> Info:
    status = entry["status"]
    lock = status.get("lock", {})
    sets, strange = _sets(entry.get("backup") or [])
    backups = sorted(sets, key=lambda one: (one.stop, one.label, one.repo))
    return Info(
        stanza=entry["name"],
        code=int(status["code"]),
        message=str(status["message"]),
        backups=tuple(backups),
        archives=tuple(_archive(one) for one in entry.get("archive") or []),
        databases=tuple(_database(one) for one in entry.get("db") or []),
        repos=tuple(_repo(one, strange[int(one["key"])]) for one in entry.get("repo") or []),
        backup_running=bool((lock.get("backup") or {}).get("held")),
        restore_running=bool((lock.get("restore") or {}).get("held")),
    )


def _sets(entries: list[dict[str, Any]]) -> tuple[list[BackupSet], Counter[int]]:
    """Those that pgBackRest may have made; and by storage how many others its backup.info names."""
    found, strange = [], Counter[int]()
    for entry in entries:
        number = int(entry["database"]["repo-key"])
        try:
            one = _backup(entry)
        except (OverflowError, OSError, ValueError):  # a time of no calendar
            strange[number] += 1
            continue
        if info_words.is_plain(one):
            found.append(one)
        else:
            strange[number] += 1
    return found, strange


def _backup(entry: dict[str, Any]) -> BackupSet:
    info, archive, lsn = entry["info"], entry.get("archive") or {}, entry.get("lsn") or {}
    return BackupSet(
        label=str(entry["label"]),
        type=str(entry["type"]),
        repo=int(entry["database"]["repo-key"]),
        database_id=int(entry["database"]["id"]),
        start=datetime.fromtimestamp(entry["timestamp"]["start"], UTC),
        stop=datetime.fromtimestamp(entry["timestamp"]["stop"], UTC),
        database_size=int(info["size"]),
        database_delta=int(info["delta"]),
        repository_delta=int(info["repository"]["delta"]),
        prior=entry.get("prior") or "",
        references=tuple(entry.get("reference") or ()),
        wal_start=archive.get("start") or "",
        wal_stop=archive.get("stop") or "",
        lsn_start=lsn.get("start") or "",
        lsn_stop=lsn.get("stop") or "",
        annotations=info_words.lines(entry.get("annotation") or {}),
        error=bool(entry.get("error", False)),
    )


def _archive(entry: dict[str, Any]) -> Archive:
    base = entry["database"]
    return Archive(
        repo=int(base["repo-key"]),
        database_id=int(base["id"]),
        id=str(entry["id"]),
        min=entry.get("min") or "",
        max=entry.get("max") or "",
    )


def _database(entry: dict[str, Any]) -> Database:
    return Database(
        repo=int(entry["repo-key"]),
        id=int(entry["id"]),
        system_id=str(entry["system-id"]),
        version=str(entry["version"]),
    )


def _repo(entry: dict[str, Any], strange: int) -> RepoStatus:
    """*strange* sets in it make it one that cannot be read: what else it says is not to be believed either."""
    status, number, cipher = entry["status"], int(entry["key"]), str(entry["cipher"])
    if strange:
        return RepoStatus(repo=number, code=OTHER, message=info_words.told(strange), cipher=cipher)
    return RepoStatus(repo=number, code=int(status["code"]), message=str(status["message"]), cipher=cipher)
