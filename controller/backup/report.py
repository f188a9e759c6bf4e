"""The status of a Backup at its start and its end, and of one whose Job was taken back.

Pure, but for `find_set`, which asks the repository host.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from controller import jobs, operations, stanza_info
from controller.backup import progress
from controller.context import Context
from controller.runtime import conditions
from controller.runtime.backoff import Pace
from pgwarden.api import names
from pgwarden.api.kinds import BackupSpec, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.api.quantity import size
from pgwarden.contract.job_result import JobResult
from pgwarden.pgbackrest.info import BackupSet
from pgwarden.pgbackrest.user_options import parse_options
from pgwarden.storages import NAMES

#: After this time from the Job's end on, a set that `info` does not show is not there.
LONGEST_READING = timedelta(minutes=2)
#: After a Job that could not start, until the next is created.
START_PACE = Pace(timedelta(minutes=5), timedelta(hours=1))
#: reason of one whose set is complete, while sets that retention no longer covers may be left.
EXPIRY_FAILED = "ExpiryFailed"


def asked_type(spec: BackupSpec) -> str:
    """full, diff or incr: a --type among the options wins over spec.type."""
    options, _ = parse_options(spec.options, command="backup", storages=NAMES)
    return options.type or spec.type


def started(backup: Object, spec: BackupSpec, repo_spec: RepositorySpec, now: datetime) -> Object:
    generation = backup["metadata"]["generation"]
    before = backup.get("status") or {}
    message = f"Job {names.backup_job(backup['metadata']['name'])} is starting"
    storage = spec.storage or repo_spec.storages[0]
    options, _ = parse_options(spec.options, command="backup", storages=repo_spec.storages)
    retention = [argument.removeprefix("--") for argument in options.arguments if "-retention-" in argument]
    return before | {
        "observedGeneration": generation,
        "phase": "Running",
        "reason": "JobStarting",
        "message": message,
        "job": names.backup_job(backup["metadata"]["name"]),
        "startTime": conditions.timestamp(now),
        "nextStartTime": None,
        "lastError": None,
        "retries": None,
        "podEndedTime": None,
        "type": asked_type(spec),
        "storage": storage,
        "repo": repo_spec.repo_number(storage),
        "retention": retention or None,
        "conditions": conditions.put(
            before.get("conditions", []), "Completed", None, "JobStarting", message, now=now, generation=generation
        ),
    }


def taken_back(backup: Object, why: str, now: datetime) -> Object:
    """The status of a Backup whose Job could not start, once nothing of it is left: it waits, and blocks nobody."""
    before = backup.get("status") or {}
    failures = int(before.get("startFailures") or 0) + 1
    due = conditions.timestamp(now + START_PACE.pause(failures))
    message = f"{why}; its Job is created again at {due}"
    generation = backup["metadata"]["generation"]
    return before | {
        "observedGeneration": generation,
        "phase": "Pending",
        "reason": operations.JOB_STUCK,
        "message": message,
        "job": None,
        "startTime": None,
        "startFailures": failures,
        "nextStartTime": due,
        "conditions": conditions.put(
            before.get("conditions", []),
            "Completed",
            None,
            operations.JOB_STUCK,
            message,
            now=now,
            generation=generation,
        ),
    }


def reading(job: Object, end: jobs.End, *, was_read: bool, now: datetime) -> str:
    """What is waited for, as no set is found though the Job has ended; empty where it is known that there is none."""
    text = "the Job has ended; looking up its backup set"
    if not was_read:
        return f"{text}, but `pgbackrest info` cannot be read; this blocks no other operation"
    since = end.at or datetime.fromisoformat(job["metadata"]["creationTimestamp"])
    return text if end.state == jobs.COMPLETE and now - since <= LONGEST_READING else ""


def ended(
    backup: Object,
    spec: BackupSpec,
    repo_spec: RepositorySpec,
    job: Object,
    end: jobs.End,
    result: JobResult | None,
    found: BackupSet | None,
    now: datetime,
    killed: str = "",
) -> Object:
    """What counts is the set: with it in the repository, the backup is complete, however the Job has ended.

    *killed*: which container was killed for want of memory while it ran.
    """
    if found is not None:
        left = result.expiry_error if result else ""
        if end.state == jobs.FAILED and not left:
            left = with_killed(_said(backup, spec, job, result), killed)
        return _over(backup, spec, repo_spec, found, now, result, left=left)
    if end.state == jobs.COMPLETE:
        label, minutes = (result and result.label) or "it named no set", LONGEST_READING.total_seconds() / 60
        text = f"Job {job['metadata']['name']} succeeded ({label}), but for {minutes:g} minutes `pgbackrest info` has"
        return _failed(backup, "InfoHasNoSet", f"{text} listed no set of this Backup; create another Backup", now)
    said = _said(backup, spec, job, result)
    reason = progress.STOOD_STILL if said.startswith(progress.STOOD) else "BackupFailed"
    return _failed(backup, reason, with_killed(said, killed), now)


def with_killed(said: str, killed: str) -> str:
    return said if not killed or killed in said else f"{said}; {killed}"


def _said(backup: Object, spec: BackupSpec, job: Object, result: JobResult | None) -> str:
    """Why the Job has failed: by its last pod; by what was noted of one that is gone; by Kubernetes."""
    why, noted = jobs.failure(job), (backup.get("status") or {}).get("lastError")
    if why.startswith("DeadlineExceeded"):
        limit = f"it ran for longer than {spec.active_deadline_seconds} s (spec.activeDeadlineSeconds)"
        return f"{limit}: {result.error}" if result and result.error else limit
    return (result and result.error) or noted or why or "the Job failed and its pod left no message"


def without_job(
    backup: Object, spec: BackupSpec, repo_spec: RepositorySpec, found: BackupSet | None, now: datetime
) -> Object:
    if found is not None:
        return _over(backup, spec, repo_spec, found, now)
    return _failed(
        backup,
        "JobLost",
        f"Job {backup['status'].get('job')} was deleted, and the repository has no set of this Backup",
        now,
    )


def _over(
    backup: Object,
    spec: BackupSpec,
    repo_spec: RepositorySpec,
    found: BackupSet,
    now: datetime,
    result: JobResult | None = None,
    *,
    left: str = "",
) -> Object:
    """*result* has the sets that went after it; *left* says why some may not have."""
    before, expired = backup.get("status") or {}, list(result.expired) if result else []
    asked = asked_type(spec)
    message = f"{found.type} backup {found.label} of {size(found.database_size)} added {size(found.repository_delta)}"
    if asked != found.type:
        message += f"; spec.type is {asked}, but there was no full backup before it"
    if result and result.note:
        message += f"; {result.note}"
    if expired:
        message += f"; retention expired {', '.join(expired)}"
    if left:
        message += f"; completed, but old sets could not be removed: {left}. The next backup tries again"
    reason = EXPIRY_FAILED if left else "Completed"
    generation = backup["metadata"]["generation"]
    return before | {
        "observedGeneration": generation,
        "phase": "Completed",
        "reason": reason,
        "message": message,
        "type": found.type,
        "label": found.label,
        "storage": repo_spec.storages[found.repo - 1],
        "repo": found.repo,
        "startTime": before.get("startTime") or conditions.timestamp(found.start),
        "completionTime": conditions.timestamp(now),
        "databaseSize": found.database_size,
        "backupSize": found.repository_delta,
        "walStart": found.wal_start,
        "walStop": found.wal_stop,
        "lsnStart": found.lsn_start,
        "lsnStop": found.lsn_stop,
        "expired": list(expired) or None,
        "conditions": _completed(before, found, reason, message, now, generation),
    }


def _completed(
    before: Object, found: BackupSet, reason: str, message: str, now: datetime, generation: int
) -> list[Object]:
    listed = conditions.put(
        before.get("conditions", []), "Completed", True, reason, message, now=now, generation=generation
    )
    text = f"set {found.label} is in the repository"
    return conditions.put(listed, "Available", True, "InRepository", text, now=now, generation=generation)


def _failed(backup: Object, reason: str, message: str, now: datetime) -> Object:
    before = backup.get("status") or {}
    generation = backup["metadata"]["generation"]
    return before | {
        "observedGeneration": generation,
        "phase": "Failed",
        "reason": reason,
        "message": message,
        "completionTime": conditions.timestamp(now),
        "conditions": conditions.put(
            before.get("conditions", []), "Completed", False, reason, message, now=now, generation=generation
        ),
    }


@dataclass(frozen=True)
class Proof:
    """The set that was looked for, and whether `info` could be read of the storage that it must be in."""

    found: BackupSet | None = None
    was_read: bool = False


async def find_set(context: Context, backup: Object, spec: BackupSpec, repo_spec: RepositorySpec) -> Proof:
    """The backup set that carries this Backup's uid, by `info` of a repository host that answers."""
    info = await stanza_info.read(context, backup["metadata"]["namespace"], spec.repository, refresh=True)
    if isinstance(info, str):
        return Proof()
    found = info.annotated(names.PGBACKREST_ANNOTATION_UID, backup["metadata"]["uid"])
    wanted = spec.storage or repo_spec.storages[0]
    mine = found is not None and found.repo <= len(repo_spec.storages)
    return Proof(found if mine else None, info.trouble(repo_spec.repo_number(wanted)) is None)
