"""What the status of a RestoreDrill says. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from controller import jobs, operations, pods
from controller.drill.render import RETRIES
from controller.drill.report import Report
from controller.recovery import plan as plans
from controller.runtime import conditions
from pgwarden.api.kinds import RestoreDrillSpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, moment
from pgwarden.pgbackrest import wal


def put(drill: Object, phase: str, reason: str, message: str, now: datetime, **more: Any) -> Object:
    before, generation = drill.get("status") or {}, drill["metadata"]["generation"]
    value = {"Completed": True, "Failed": False}.get(phase)
    listed = conditions.put(
        before.get("conditions", []), "Completed", value, reason, message, now=now, generation=generation
    )
    over = {"completionTime": conditions.timestamp(now)} if phase in operations.TERMINAL else {}
    said = {"observedGeneration": generation, "phase": phase, "reason": reason, "message": message}
    return before | said | {"conditions": listed} | over | more


def of_restore(restore: Object, spec: RestoreDrillSpec, repository: Object | None) -> Object:
    """What the Restore tells of the drill."""
    found = restore.get("status") or {}
    shown = {
        "restoreUID": restore["metadata"]["uid"],
        "set": found.get("set"),
        "recoveredTo": found.get("recoveredTo"),
        "bytes": get(found, int, "forecast", "copyBytes"),
    } | _measured(restore, repository)
    at = moment(get(restore, str, "spec", "target", "time")) if spec.is_random else None
    if at is not None:
        seed = int(at.timestamp()) if spec.seed is None else spec.seed
        shown |= {"target": {"time": conditions.timestamp(at)}, "seed": seed}
    return {key: value for key, value in shown.items() if value is not None}


def _measured(restore: Object, repository: Object | None) -> Object:
    """Seconds of each phase, and the WAL, once they are known."""
    plan = plans.of_restore(restore)
    if plan is None or plan.recovered is None:
        return {}
    end, size = plan.recovered, get(repository, int, "status", "postgres", "walSegmentSize") or wal.SEGMENT_SIZE
    # Only one to the latest state is Fenced.
    before = _between(restore["status"], "Fenced", "Restored") or _between(restore["status"], "Validated", "Restored")
    seconds = {
        "volume": max(before - round(end.copy_seconds), 0) if before is not None else None,
        "copy": round(end.copy_seconds),
        "replay": round(end.replay_seconds),
    }
    return {
        "seconds": {key: value for key, value in seconds.items() if value is not None},
        "wal": {"segments": end.segments, "bytes": end.segments * size},
    }


def _between(status: Object, first: str, last: str) -> int | None:
    listed = status.get("conditions") or []
    ends = [conditions.find(listed, kind) for kind in (first, last)]
    times = [moment(one["lastTransitionTime"]) for one in ends if one and one["status"] == "True"]
    if len(times) < 2 or times[0] is None or times[1] is None:
        return None
    return int((times[1] - times[0]).total_seconds())


def checking(job: Object, own: Iterable[Object], refused: str) -> tuple[str, str]:
    """Reason and message of a drill whose checks go on. *refused*: why Kubernetes makes no pod of them."""
    name = f"Job {job['metadata']['name']}"
    stuck = pods.waiting_reason(pod for pod in own if not pods.has_ended(pod) and not jobs.has_begun(job, pod))
    if stuck or refused:
        return "JobStuck", f"{name}: {stuck or f'Kubernetes creates no pod of it: {refused}'}"
    text = f"{name} checks what was restored"
    if tried := jobs.tried(job):
        text += f", on attempt {tried + 1} of {RETRIES + 1}: the pod before was killed"
    return "Checking", text


def judged(report: Report, own: Iterable[Object] = ()) -> tuple[str, str, str]:
    """Phase, reason and message of a drill whose checks have ended, in these pods."""
    failed, skipped = report.failed, [one for one in report.checks if one.outcome == "Skipped"]
    if failed:
        said = "; ".join(f"{one.name}: {one.message}" for one in failed[:3])
        return "Failed", "ChecksFailed", f"{len(failed)} of {len(report.checks)} checks failed: {said}"
    if not report.whole:
        killed = pods.out_of_memory(own)
        why = f"; {killed.message}: raise spec.resources.limits.memory" if killed else ""
        return "Failed", "ChecksInterrupted", f"each pod that ran the checks ended before they were done{why}"
    text = f"{len(report.checks) - len(skipped)} checks passed"
    if skipped:
        text += f"; not done: {'; '.join(f'{one.name} ({one.message})' for one in skipped)}"
    return "Completed", "Completed", text
