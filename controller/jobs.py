"""Reading a Job: how it ended, and what its pod said in its termination message. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec.structs import replace

from pgwarden.api import outside
from pgwarden.api.objects import Object
from pgwarden.contract.job_result import JobResult


def finished(job: Object) -> str:
    """Complete or Failed; empty while it runs."""
    for condition in job.get("status", {}).get("conditions", []):
        if condition["type"] in {"Complete", "Failed"} and condition["status"] == "True":
            return str(condition["type"])
    return ""


def failure(job: Object) -> str:
    """Kubernetes' own words for why the Job failed (BackoffLimitExceeded, DeadlineExceeded)."""
    for condition in job.get("status", {}).get("conditions", []):
        if condition["type"] == "Failed" and condition["status"] == "True":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    return ""


def completed(job: Object, otherwise: datetime) -> datetime:
    """When it ended well; *otherwise* where Kubernetes does not say."""
    at = job.get("status", {}).get("completionTime")
    return datetime.fromisoformat(at) if at else otherwise


def result(pods: Iterable[Object]) -> JobResult | None:
    """The result of the Job's latest pod that left one; None where none did (killed, or gone)."""
    latest: tuple[str, JobResult | None] = ("", None)
    for pod in pods:
        for ended in _ends(pod):
            parsed = outside.decode(ended.get("message", ""), JobResult)
            if parsed is not None and ended.get("finishedAt", "") >= latest[0]:
                latest = (ended.get("finishedAt", ""), _printable(parsed))
    return latest[1]


def _ends(pod: Object) -> Iterator[Object]:
    """How its containers ended; an init container counts where it has failed, as nothing comes after it then."""
    status = pod.get("status", {})
    for key in ("initContainerStatuses", "containerStatuses"):
        for one in status.get(key) or []:
            ended = one.get("state", {}).get("terminated") or one.get("lastState", {}).get("terminated")
            if ended and (key == "containerStatuses" or ended.get("exitCode")):
                yield ended


def _printable(found: JobResult) -> JobResult:
    """A message of another's shape is no result; what its words steer a terminal with is taken out."""
    return replace(
        found,
        error=outside.printable(found.error),
        label=outside.printable(found.label),
        set=outside.printable(found.set),
        reason=outside.printable(found.reason),
        reached=outside.printable(found.reached),
        segment=outside.printable(found.segment),
        note=outside.printable(found.note),
        expired=tuple(map(outside.printable, found.expired)),
    )
