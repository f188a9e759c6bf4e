"""Reading a Job: how it ended, and what its pod said in its termination message. Pure.

What counts are the containers of the Job's own template. A service mesh puts one of its own beside them, which goes on
for ever: Kubernetes then never calls the Job complete, nor does it make another pod where the first has failed. Where
that one ends with an error, Kubernetes calls the pod failed, and makes another, though all is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from controller import owned
from controller.pods import has_ended
from pgwarden.api import outside
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, is_going, moment, objects
from pgwarden.contract.job_result import JobResult

COMPLETE, FAILED = "Complete", "Failed"
#: So long what stands beside our containers may take to end by itself; many proxies do.
PATIENCE = timedelta(seconds=10)


def finished(job: Object) -> str:
    """Complete or Failed by Kubernetes' own word; empty while it runs."""
    for condition in job.get("status", {}).get("conditions", []):
        if condition["type"] in {COMPLETE, FAILED} and condition["status"] == "True":
            return str(condition["type"])
    return ""


@dataclass(frozen=True)
class End:
    """How a Job stands. `state` is Complete or Failed; empty while it is at it, or while another try is to be made.

    `kept` is a pod in which all of the Job's own containers have ended, but one that others have put there has not, or
    has made the pod fail: with a state, the Job has to be deleted once its end is told; without one, that pod, so that
    Kubernetes tries again.
    """

    state: str = ""
    at: datetime | None = None
    kept: Object | None = None


def end(job: Object, pods: Iterable[Object], now: datetime) -> End:
    said, known = finished(job), list(pods)
    spoiled = next((pod for pod in known if _is_spoiled(job, pod)), None)
    if spoiled is not None:
        return End(COMPLETE, _since(job, spoiled), None if said else spoiled)
    if said:
        return End(said, moment(job.get("status", {}).get("completionTime")))
    kept = next((pod for pod in known if is_kept(job, pod, now)), None)
    if kept is None:
        return End()
    codes = [one.get("exitCode") for one in _ended(job, kept)]
    if not any(codes):
        return End(COMPLETE, _since(job, kept), kept)
    return End("" if has_tries(job) else FAILED, _since(job, kept), kept)


def is_kept(job: Object, pod: Object, now: datetime) -> bool:
    """Whether *pod*, of that very Job, has done its work, and something that is not ours keeps it, or made it fail."""
    if _is_spoiled(job, pod):
        return True
    own = _own(job)
    if not own or has_ended(pod) or not owned.is_owned(pod, job["metadata"]["uid"]) or not beside(job, pod):
        return False
    since = _since(job, pod)
    return len(_ended(job, pod)) == len(own) and (since is None or now - since >= PATIENCE)


def _is_spoiled(job: Object, pod: Object) -> bool:
    """Whether our containers in *pod*, of that very Job, have ended well, and it has failed for another's sake.

    One that is ended from outside, as at a deadline, is judged by what ended it.
    """
    own = _own(job)
    if not own or not has_ended(pod) or is_going(pod) or not owned.is_owned(pod, job["metadata"]["uid"]):
        return False
    codes = [one.get("exitCode") for one in _ended(job, pod)]
    others = [ended for one in _statuses(pod) if one.get("name") not in own and (ended := _terminated(one))]
    return codes == [0] * len(own) and any(one.get("exitCode") for one in others)


def has_begun(job: Object, pod: Object) -> bool:
    """Whether a container of the Job's own runs in *pod*, or has ended there: whatever keeps others from starting."""
    own = _own(job)
    states = (one.get("state") or {} for one in _statuses(pod) if one.get("name") in own)
    return any("running" in one or "terminated" in one for one in states)


def beside(job: Object, pod: Object) -> list[str]:
    """The names of the containers in *pod* that are not the Job's own, and run."""
    own = _own(job)
    return [str(one.get("name")) for one in _statuses(pod) if one.get("name") not in own and not _terminated(one)]


def has_tries(job: Object) -> bool:
    """Whether Kubernetes makes another pod after the one that fails now."""
    limit = get(job, int, "spec", "backoffLimit")
    return limit is None or tried(job) < limit


def tried(job: Object) -> int:
    """How many of its pods have failed."""
    return int(job.get("status", {}).get("failed") or 0)


def retries(job: Object) -> int:
    """How many pods were tried after the first had failed. The last one that fails is followed by none."""
    return max(tried(job) - (finished(job) == FAILED), 0)


def _own(job: Object) -> set[str]:
    return {str(one.get("name")) for one in objects(job, "spec", "template", "spec", "containers")}


def _statuses(pod: Object) -> list[Object]:
    return objects(pod, "status", "containerStatuses")


def _terminated(status: Object) -> Object | None:
    return get(status, dict, "state", "terminated")


def _ended(job: Object, pod: Object) -> list[Object]:
    own = _own(job)
    found = (_terminated(one) for one in _statuses(pod) if one.get("name") in own)
    return [one for one in found if one is not None]


def _since(job: Object, pod: Object) -> datetime | None:
    times = [time for one in _ended(job, pod) if (time := moment(one.get("finishedAt")))]
    return max(times, default=None)


def without_pod_since(job: Object, pods: Iterable[Object], deleted: datetime | None = None) -> datetime | None:
    """Of a Job that has no pod that waits or runs: since its start, or the last one's end or deletion."""
    ended = (_terminated(one) for pod in pods for one in _statuses(pod))
    started = moment(job.get("status", {}).get("startTime")) or moment(job["metadata"].get("creationTimestamp"))
    times = [moment(one.get("finishedAt")) for one in ended if one is not None]
    return max((time for time in (*times, started, deleted) if time), default=None)


def failure(job: Object) -> str:
    """Kubernetes' own words for why the Job failed (BackoffLimitExceeded, DeadlineExceeded)."""
    for condition in job.get("status", {}).get("conditions", []):
        if condition["type"] == FAILED and condition["status"] == "True":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    return ""


def result(pods: Iterable[Object], job: Object | None = None, after: datetime | None = None) -> JobResult | None:
    """The result of the Job's latest pod that left one; None where none did (killed, or gone).

    With the *job*, only what its own containers have left counts; with a time, only what they have left after that.
    """
    for ended in newest_ends(pods, job):
        at = moment(ended.get("finishedAt"))
        if after is not None and (at is None or at <= after):
            continue
        parsed = outside.decode(ended.get("message", ""), JobResult)
        if parsed is not None:
            return _printable(parsed)
    return None


def newest_ends(pods: Iterable[Object], job: Object | None = None) -> list[Object]:
    """How containers in *pods* have ended, the newest first; with the *job* only its own."""
    own = own_containers(job) if job is not None else set()
    found = [ended for pod in pods for ended in _ends(pod, own)]
    return sorted(found, key=lambda one: str(one.get("finishedAt") or ""))[::-1]


def own_containers(job: Object) -> set[str]:
    """The names of all containers that the Job's own template has."""
    return _own(job) | {str(one.get("name")) for one in objects(job, "spec", "template", "spec", "initContainers")}


def _ends(pod: Object, own: set[str]) -> Iterator[Object]:
    """How its containers ended; an init container counts where it has failed, as nothing comes after it then."""
    status = pod.get("status", {})
    for key in ("initContainerStatuses", "containerStatuses"):
        for one in status.get(key) or []:
            if own and one.get("name") not in own:
                continue
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
