"""How a backup stands while its Job is at it: by the Job, its pods, and what the agent in it answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from controller import jobs
from controller.backup import render
from controller.pods import has_ended, waiting_reason
from pgwarden.api.kinds import BackupSpec, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.api.quantity import size
from pgwarden.api.reading import is_going, moment
from pgwarden.contract import backup_progress as words
from pgwarden.contract.backup_progress import BackupProgress
from pgwarden.contract.job_result import JobResult
from pgwarden.pgbackrest.option_table import in_seconds
from pgwarden.pgbackrest.user_options import parse_options

#: A backup that has not advanced for so long says so.
QUIET = timedelta(minutes=5)
#: After so long, beyond what pgBackRest itself is told to wait for, its pod is ended, which is a try.
STANDSTILL = timedelta(hours=1)
#: How status.lastError begins where its pod was ended for that, and the reason where that was the last one.
STOOD, STOOD_STILL = "it stood still", "StoodStill"
KILLED = "its pod was killed"
STANDS_STILL, RUNS, RETRIES = "StandsStill", "JobRuns", "JobRetries"
WAITS = "JobWaits"
#: So long a pod may take to come to run: an image is pulled, a node is added.
PATIENCE = timedelta(minutes=10)
#: So long one that Kubernetes does not create, and says why (a quota): it tries again once a minute at least.
REFUSED_PATIENCE = timedelta(minutes=2)


def running(
    job: Object, pods: list[Object], said: BackupProgress | None, last: str, now: datetime, refused: str = ""
) -> tuple[str, str]:
    """Reason and message while the Job is at it. *said*: by the agent in its pod. *last*: why its last pod failed.
    *refused*: why Kubernetes creates none.
    """
    name, failed = job["metadata"]["name"], jobs.tried(job)
    starting = [pod for pod in pods if not has_ended(pod) and not jobs.has_begun(job, pod)]
    stuck = _no_pod(refused) if refused else waiting_reason(starting)
    if stuck:
        return WAITS, f"Job {name}: {stuck}"
    going = _going(said) if said is not None else "runs"
    text = f"Job {name} {going}"
    if failed:
        text = f"Job {name} is on attempt {failed + 1} of {render.RETRIES + 1}; the last one failed: {last}"
        text += f"; it {going}" if going != "runs" else ""
    still = _still(said, now)
    if still >= QUIET:
        return STANDS_STILL, f"{text}; it has not advanced for {still.total_seconds() / 60:.0f} min"
    return (RETRIES if failed else RUNS), text


def stood_still(said: BackupProgress | None, now: datetime, timeouts: Iterable[float] = ()) -> str:
    """Why its pod is to be ended; empty where it advances, or where nobody knows whether it does.

    *timeouts*: the seconds for which pgBackRest may wait for one thing, where the user has said it.
    """
    limit = STANDSTILL + timedelta(seconds=max(timeouts, default=0))
    still = _still(said, now)
    if said is None or not said.watched or still < limit:
        return ""
    return f"{STOOD} for {still.total_seconds() / 60:.0f} min ({_going(said)})"


def timeouts(spec: BackupSpec, repo_spec: RepositorySpec) -> list[float]:
    """For how long the user has told pgBackRest to wait, in seconds: for WAL, PostgreSQL, a peer."""
    of_repository, _ = parse_options(repo_spec.options, command="repository", storages=repo_spec.storages)
    own, _ = parse_options(spec.options, command="backup", storages=repo_spec.storages)
    given = of_repository.settings | own.settings
    return [seconds for name, text in given.items() if name.endswith("-timeout") and (seconds := in_seconds(text))]


def _still(said: BackupProgress | None, now: datetime) -> timedelta:
    advanced = moment(said.advanced) if said is not None and said.phase else None
    return now - advanced if advanced else timedelta()


def _going(said: BackupProgress) -> str:
    share = f": {said.copied_percent:.0f} %" if said.copied_percent is not None else ""
    amount = f" ({size(said.copied_bytes)})" if said.copied_bytes else ""
    return {
        words.COPYING: f"copies{share}{amount}",
        words.ARCHIVING: f"has copied everything{amount} and waits for its WAL to be archived",
        words.EXPIRING: "has completed the set and removes what retention no longer covers",
    }.get(said.phase, "runs")


def result(backup: Object, job: Object, pods: Iterable[Object]) -> JobResult | None:
    """What the Job's latest pod has left. Of one that was ended here, status.lastError has it."""
    ended = pod_ended(backup)
    return jobs.result([pod for pod in pods if not (ended and is_going(pod))], job, ended)


def pod_ended(backup: Object) -> datetime | None:
    """When a pod was ended here last."""
    return moment((backup.get("status") or {}).get("podEndedTime"))


def failure(said: JobResult | None) -> str:
    """Why a pod of the Job has failed."""
    return (said and said.error) or KILLED


def _no_pod(refused: str) -> str:
    return f"Kubernetes creates no pod of it: {refused}"


def patience(refused: str) -> timedelta:
    """For how long a Job is waited for."""
    return REFUSED_PATIENCE if refused else PATIENCE


def stuck(job: Object, pods: list[Object], now: datetime, refused: str = "", deleted: datetime | None = None) -> str:
    """Why the Job is taken back: for so long no pod of it has come to run. Empty while it may be waited for.

    What is at it is never ended. *deleted*: when a pod of it was, which is to be followed by another.
    """
    waits = [pod for pod in pods if not has_ended(pod)]
    if any(pod.get("status", {}).get("phase") == "Running" or jobs.has_begun(job, pod) for pod in waits):
        return ""
    times = [moment(pod["metadata"].get("creationTimestamp")) for pod in waits]
    since = max((time for time in times if time), default=None) or jobs.without_pod_since(job, pods, deleted)
    if since is None or now - since < patience(refused):
        return ""
    if refused:
        return _no_pod(refused)
    return waiting_reason(waits) or (
        "its pod does not start" if waits else "it has no pod: a quota or a policy may refuse it, see its Events"
    )
