"""The status of a Backup at its start and its end. Pure, but for `find_set`, which asks the repository host."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from controller import jobs, stanza_info
from controller.backup import render
from controller.context import Context
from controller.pods import waiting_reason
from controller.runtime import conditions
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
        "type": asked_type(spec),
        "storage": storage,
        "repo": repo_spec.repo_number(storage),
        "retention": retention or None,
        "conditions": conditions.put(
            before.get("conditions", []), "Completed", None, "JobStarting", message, now=now, generation=generation
        ),
    }


def running(job: Object, pods: list[Object]) -> tuple[str, str]:
    """Reason and message while the Job is at it."""
    name, failed = job["metadata"]["name"], int(job.get("status", {}).get("failed") or 0)
    stuck = waiting_reason(pods)
    if stuck:
        return "JobWaits", f"Job {name}: {stuck}"
    if failed:
        said = jobs.result(pods)
        why = (said and said.error) or "its pod was killed"
        return (
            "JobRetries",
            f"Job {name} is on attempt {failed + 1} of {render.RETRIES + 1}; the last one failed: {why}",
        )
    return "JobRuns", f"Job {name} runs"


def ended(
    backup: Object,
    spec: BackupSpec,
    repo_spec: RepositorySpec,
    job: Object,
    result: JobResult | None,
    found: BackupSet | None,
    now: datetime,
) -> Object:
    if found is not None and jobs.finished(job) == "Complete":
        return _over(backup, spec, repo_spec, found, now, expired=list(result.expired) if result else [])
    if jobs.finished(job) == "Complete":
        label, minutes = (result and result.label) or "it named no set", LONGEST_READING.total_seconds() / 60
        text = f"Job {job['metadata']['name']} succeeded ({label}), but for {minutes:g} minutes `pgbackrest info` has"
        return _failed(backup, "InfoHasNoSet", f"{text} listed no set of this Backup; create another Backup", now)
    said = (result and result.error) or jobs.failure(job) or "the Job failed and its pod left no message"
    return _failed(backup, "BackupFailed", said, now)


def without_job(
    backup: Object, spec: BackupSpec, repo_spec: RepositorySpec, found: BackupSet | None, now: datetime
) -> Object:
    if found is not None:
        return _over(backup, spec, repo_spec, found, now, expired=[])
    return _failed(
        backup,
        "JobLost",
        f"Job {backup['status'].get('job')} was deleted, and the repository has no set of this Backup",
        now,
    )


def _over(
    backup: Object, spec: BackupSpec, repo_spec: RepositorySpec, found: BackupSet, now: datetime, expired: list[str]
) -> Object:
    before = backup.get("status") or {}
    asked = asked_type(spec)
    message = f"{found.type} backup {found.label} of {size(found.database_size)} added {size(found.repository_delta)}"
    if asked != found.type:
        message += f"; spec.type is {asked}, but there was no full backup before it"
    if expired:
        message += f"; retention expired {', '.join(expired)}"
    generation = backup["metadata"]["generation"]
    return before | {
        "observedGeneration": generation,
        "phase": "Completed",
        "reason": "Completed",
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
        "expired": expired or None,
        "conditions": _completed(before, found, message, now, generation),
    }


def _completed(before: Object, found: BackupSet, message: str, now: datetime, generation: int) -> list[Object]:
    listed = conditions.put(
        before.get("conditions", []), "Completed", True, "Completed", message, now=now, generation=generation
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
