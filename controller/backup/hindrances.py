"""Why a Backup whose turn it may be does not begin now: its storage, the primary, its windows, WAL that waits. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from controller import operations, storage_state
from controller.backup import backlog
from controller.runtime import conditions
from pgwarden.api.kinds import BackupSpec, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, moment
from pgwarden.schedule import windows

LONGEST_LOOK = 600.0


@dataclass(frozen=True)
class Wait:
    reason: str
    message: str
    again: float | None = None  # seconds until it is over, where that is known


def find(backup: Object, spec: BackupSpec, repository: Object, repo_spec: RepositorySpec, now: datetime) -> Wait | None:
    """The first of them; None where it can begin."""
    storage = spec.storage or repo_spec.storages[0]
    trouble = storage_state.hindrance(repository, storage)
    if trouble:
        return Wait(operations.NOT_READY, trouble)
    if not (repository.get("status") or {}).get("primary"):
        return Wait("NoPrimary", f"no PostgreSQL primary of Repository {spec.repository} responds")
    return _stuck(backup, now) or _closed(spec, now) or _backlog(backup, spec, repository, repo_spec, now)


def _stuck(backup: Object, now: datetime) -> Wait | None:
    """No pod of its Job could start: that is tried again later each time."""
    due = moment(get(backup, str, "status", "nextStartTime"))
    if due is None or now >= due:
        return None
    said = get(backup, str, "status", "message") or "no pod of its Job could start"
    return Wait(operations.JOB_STUCK, said, (due - now).total_seconds())


def _closed(spec: BackupSpec, now: datetime) -> Wait | None:
    closed = windows.read(spec.not_during, "UTC")
    opens = windows.opens(now, closed)
    if opens == now:
        return None
    if opens is None:
        return Wait(operations.EXCLUDED, "the windows of spec.notDuring leave no time to begin in", LONGEST_LOOK)
    text = f"no backup begins now by spec.notDuring; it begins at {conditions.timestamp(opens)}"
    return Wait(operations.EXCLUDED, text, min((opens - now) / timedelta(seconds=1), LONGEST_LOOK))


def _backlog(
    backup: Object, spec: BackupSpec, repository: Object, repo_spec: RepositorySpec, now: datetime
) -> Wait | None:
    waited = now - datetime.fromisoformat(backup["metadata"]["creationTimestamp"])
    text = backlog.hindrance(spec, repository, repo_spec, waited)
    return Wait(operations.BACKLOG, text) if text else None
