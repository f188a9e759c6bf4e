"""How far a recovery is, from its Job, that Job's pods, and what the agent in it answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

import msgspec

from controller import jobs, pods
from controller.recovery.exit_codes import HOPELESS
from controller.recovery.job import RETRIES
from pgwarden.api import outside
from pgwarden.api.objects import Object
from pgwarden.api.quantity import size
from pgwarden.api.reading import is_going, moment
from pgwarden.contract import recovery as words
from pgwarden.contract.job_result import JobResult
from pgwarden.contract.recovery import Recovery

#: A recovery that has not advanced for so long says so.
QUIET = timedelta(seconds=60)
#: Of a Job whose pod does not start.
STUCK = "JobStuck"
#: Of a Job that has failed without one.
FAILED_WITHOUT_REASON = "RestoreFailed"
_LINES, _CHARACTERS = 10, 300  # of its log that a status shows


class Stage(Enum):
    COPYING = auto()  # or not that far: no pod, no image
    REPLAYING = auto()
    FOLLOWING = auto()  # all that is archived is replayed
    ENDED = auto()  # promoted, and shut down cleanly
    FAILED = auto()


@dataclass(frozen=True)
class Seen:
    """What was read of a recovery: *said* is its agent's answer; None where it gives none."""

    job: Object
    pods: tuple[Object, ...] = ()
    said: Recovery | None = None
    refused: str = ""  # why Kubernetes creates no pod of it, in its words


@dataclass(frozen=True)
class Progress:
    stage: Stage
    reason: str
    message: str
    result: JobResult | None = None
    set: str = ""
    still: timedelta = timedelta()  # for how long it has not advanced
    kept: Object | None = None  # a pod that has failed and is to be deleted: something that is not ours keeps it


def judge(seen: Seen, now: datetime) -> Progress:
    result, end = jobs.result(seen.pods, seen.job), jobs.end(seen.job, seen.pods, now)
    ended = end.state
    if ended == jobs.COMPLETE or (result is not None and result.ok and result.timeline):
        label = result.set if result else ""
        return Progress(Stage.ENDED, "Recovered", "", result, label)
    if ended == jobs.FAILED or _is_final(result):
        return _failed(seen, result)
    if end.kept is not None:
        return _kept(seen.job, end.kept, result)
    stuck = pods.waiting_reason(p for p in seen.pods if not pods.has_ended(p) and not jobs.has_begun(seen.job, p))
    if stuck:
        return Progress(Stage.COPYING, STUCK, f"Job {seen.job['metadata']['name']}: {stuck}")
    if seen.said is not None and seen.said.phase:
        return _going(seen.said, now)
    if seen.refused:
        text = f"Job {seen.job['metadata']['name']}: Kubernetes creates no pod of it: {seen.refused}"
        return Progress(Stage.COPYING, STUCK, text)
    if _has_no_pod(seen, now):
        name = seen.job["metadata"]["name"]
        why = f"Job {name} has no pod: a quota or a policy may refuse it; see kubectl describe job {name}"
        return Progress(Stage.COPYING, STUCK, why)
    return _starting(seen, result)


def _kept(job: Object, pod: Object, result: JobResult | None) -> Progress:
    """The next pod is made once this one has gone."""
    said = f": {result.error}" if result and result.error else ""
    beside = ", ".join(jobs.beside(job, pod))
    text = f"Job {job['metadata']['name']} runs again; the last attempt failed{said} (container {beside} kept its pod)"
    going = is_going(pod)
    return Progress(Stage.COPYING, "Retrying", text, kept=None if going else pod)


def _is_final(result: JobResult | None) -> bool:
    """Whether another attempt would end in the same way."""
    return result is not None and not result.ok and (bool(result.reason) or result.exit_code in HOPELESS)


def _has_no_pod(seen: Seen, now: datetime) -> bool:
    """And nothing says why: Events may be lost."""
    since = moment(seen.job.get("status", {}).get("startTime"))
    return not seen.pods and since is not None and now - since >= QUIET


def _failed(seen: Seen, result: JobResult | None) -> Progress:
    job = seen.job
    reason = result.reason if result and result.reason else FAILED_WITHOUT_REASON
    why = jobs.failure(job) or ("" if jobs.has_tries(job) else f"the last of {RETRIES + 1} attempts")
    if result and result.reason:
        text = result.error
    elif result and result.error:
        text = f"{result.error} ({why or 'another attempt would fail in the same way'})"
    else:
        text = f"Job {job['metadata']['name']} failed: {why or 'its pod left no reason'}{_out_of_memory(seen)}"
    return Progress(Stage.FAILED, reason, text, result, result.set if result else "")


def _out_of_memory(seen: Seen) -> str:
    killed = pods.out_of_memory(seen.pods)
    if killed is None:
        return ""
    ours = killed.container in jobs.own_containers(seen.job)
    return f"; {killed.message}" + (": raise the Repository's spec.resources.limits.memory" if ours else "")


def _starting(seen: Seen, result: JobResult | None) -> Progress:
    name, failed = seen.job["metadata"]["name"], jobs.tried(seen.job)
    if failed:
        said = f": {result.error}" if result and result.error else ""
        text = f"Job {name} is on attempt {failed + 1} of {RETRIES + 1}; the last one failed{said}"
        return Progress(Stage.COPYING, "Retrying", text)
    if any(pod.get("status", {}).get("phase") == "Running" for pod in seen.pods):
        return Progress(Stage.COPYING, "Running", f"Job {name} runs; its agent does not answer at the moment")
    return Progress(Stage.COPYING, "Running", f"Job {name} is starting")


def _going(said: Recovery, now: datetime) -> Progress:
    since = moment(said.advanced)
    still = max(now - since, timedelta()) if since else timedelta()
    label = outside.printable(said.set or "")
    if said.phase == words.COPYING:
        return Progress(Stage.COPYING, *_hindered(said, still, "Copying", _copied(said)), set=label, still=still)
    if said.phase == words.FOLLOWING:
        text = f"all archived WAL is replayed{_position(said)}"
        if said.reason:  # a hole, perhaps: PostgreSQL is not stopped for what may not end well
            return Progress(Stage.REPLAYING, *_hindered(said, still, "Replaying", text), set=label, still=still)
        return Progress(Stage.FOLLOWING, "CaughtUp", text, set=label)
    stage = {words.STARTING: "PostgreSQL is starting", words.PROMOTING: "PostgreSQL is promoted"}
    text = stage.get(said.phase) or ("PostgreSQL stops" if said.phase == words.STOPPING else "PostgreSQL replays WAL")
    text += _position(said) + _left(said)
    return Progress(Stage.REPLAYING, *_hindered(said, still, "Replaying", text), set=label, still=still)


def _hindered(said: Recovery, still: timedelta, reason: str, text: str) -> tuple[str, str]:
    """Reason and message: what stands in the way, or for how long nothing has advanced, where that is so."""
    why = outside.printable(said.message or "")
    if said.reason and why:
        return outside.printable(said.reason), f"{text}: {why}"
    if still >= QUIET:
        return "StandsStill", f"{text}; it has not advanced for {_minutes(still.total_seconds())}"
    return reason, text


def _copied(said: Recovery) -> str:
    share = f": {said.copied_percent:.0f} %" if said.copied_percent is not None else ""
    amount = f" ({size(said.copied_bytes)})" if said.copied_bytes else ""
    return f"pgBackRest restores the backup set{f' {outside.printable(said.set)}' if said.set else ''}{share}{amount}"


def _position(said: Recovery) -> str:
    where = f" up to segment {outside.printable(said.segment)}" if said.segment else ""
    return where + (f" (last commit {said.last_replay_time})" if said.last_replay_time else "")


def _left(said: Recovery) -> str:
    if not said.remaining:
        return ""
    more = f"; {said.remaining} segments left"
    return more + (f", about {_minutes(said.remaining / said.rate)}" if said.rate else "")


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def left(before: Any, result: JobResult | None) -> dict[str, Any] | None:
    """What a status keeps of a recovery that has failed: *before*, with the last lines of its log."""
    kept = dict(before) if isinstance(before, dict) else {}
    if result is not None and result.log:
        kept["log"] = _lines(result.log)
    return kept or None


def _lines(log: Iterable[str]) -> list[str]:
    return [outside.printable(line)[:_CHARACTERS] for line in list(log)[-_LINES:]]


def shown(said: Recovery | None) -> dict[str, Any] | None:
    """*said* for a status: only what can be printed, and no more than fits."""
    if said is None or not said.phase:
        return None
    found: dict[str, Any] = {k: v for k, v in msgspec.to_builtins(said).items() if v is not None}
    for key, value in found.items():
        if isinstance(value, str):
            found[key] = outside.printable(value)[:_CHARACTERS]
    found["log"] = _lines(said.log)
    return found
