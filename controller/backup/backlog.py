"""WAL that waits in pg_wal to be archived, before the segments that a backup needs. Pure.

A backup is complete once its own WAL is in the repository, and pgBackRest waits `archive-timeout` for it: with a long
queue before it, the backup would end with [082] though everything was to come. So it waits while the queue is long; and
where archiving works and the queue stays as it is, it begins with as much more time.
"""

from __future__ import annotations

import math
from datetime import timedelta

from controller.runtime import conditions
from pgwarden.api.kinds import BackupSpec, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects
from pgwarden.pgbackrest.config import ARCHIVE_TIMEOUT_SECONDS
from pgwarden.pgbackrest.option_table import in_seconds
from pgwarden.pgbackrest.user_options import ParsedOptions, parse_options

#: What is reckoned for a segment: a slow storage takes 16 MiB in this time.
SECONDS_EACH = 4
#: So long it waits for a queue that archiving works on.
PATIENCE = timedelta(minutes=10)
#: pgBackRest ends a connection on which nothing has come for half an hour.
MOST_SECONDS = 1500
_TIMEOUT = "archive-timeout"


def hindrance(spec: BackupSpec, repository: Object, repo_spec: RepositorySpec, waited: timedelta) -> str:
    """Why a backup that has *waited* so long does not begin yet; empty where it may."""
    queued, options = _queued(repository), _options(spec, repo_spec)
    allowed = math.floor((_chosen(options, repo_spec) or ARCHIVE_TIMEOUT_SECONDS) / SECONDS_EACH)
    if queued <= allowed or not _is_checked(options, repo_spec) or _waits_for_another(spec, repository, repo_spec):
        return ""
    fails = conditions.find((repository.get("status") or {}).get("conditions", []), "Archiving") or {}
    if fails.get("status") == "False":
        text = f"{queued} WAL segments wait to be archived, which fails: {fails.get('message', '')}"
        return f"{text}. The backup could not be completed (pgBackRest's [082]), so it begins after that"
    if waited >= PATIENCE:
        return ""
    return (
        f"{queued} WAL segments wait to be archived before those of this backup; it begins once there are at most "
        f"{allowed}, or in {PATIENCE.total_seconds() / 60:g} minutes with a longer archive-timeout"
    )


def argument(spec: BackupSpec, repository: Object, repo_spec: RepositorySpec) -> list[str]:
    """archive-timeout for a backup that begins all the same; nothing where the user has set one, or none is needed."""
    options, wanted = _options(spec, repo_spec), ARCHIVE_TIMEOUT_SECONDS + SECONDS_EACH * _queued(repository)
    if _chosen(options, repo_spec) is not None or wanted <= ARCHIVE_TIMEOUT_SECONDS + SECONDS_EACH:
        return []
    return [f"--{_TIMEOUT}={min(wanted, MOST_SECONDS)}"]


def _queued(repository: Object) -> int:
    return get(repository, int, "status", "unarchivedWAL") or 0


def _options(spec: BackupSpec, repo_spec: RepositorySpec) -> ParsedOptions:
    return parse_options(spec.options, command="backup", storages=repo_spec.storages)[0]


def _chosen(options: ParsedOptions, repo_spec: RepositorySpec) -> float | None:
    """The seconds that the user has set, on the Backup or else on the Repository."""
    of_repository, _ = parse_options(repo_spec.options, command="repository", storages=repo_spec.storages)
    text = options.settings.get(_TIMEOUT) or of_repository.settings.get(_TIMEOUT)
    return in_seconds(text) if text else None


def _is_checked(options: ParsedOptions, repo_spec: RepositorySpec) -> bool:
    """Whether pgBackRest waits for the WAL at all."""
    of_repository, _ = parse_options(repo_spec.options, command="repository", storages=repo_spec.storages)
    return (of_repository.settings | options.settings).get("archive-check", "y") == "y"


def _waits_for_another(spec: BackupSpec, repository: Object, repo_spec: RepositorySpec) -> bool:
    """Whether the queue may be another storage's, which does not answer: WAL for this one goes by meanwhile."""
    storage = spec.storage or repo_spec.storages[0]
    others = [one for one in objects(repository, "status", "storages") if one.get("name") != storage]
    return any(one.get("reachable") is False for one in others)
