"""What the status of a RestoreDrill says. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from controller import operations
from controller.drill.report import Report
from controller.runtime import conditions
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, moment


def put(drill: Object, phase: str, reason: str, message: str, now: datetime, **more: Any) -> Object:
    before, generation = drill.get("status") or {}, drill["metadata"]["generation"]
    value = {"Completed": True, "Failed": False}.get(phase)
    listed = conditions.put(
        before.get("conditions", []), "Completed", value, reason, message, now=now, generation=generation
    )
    over = {"completionTime": conditions.timestamp(now)} if phase in operations.TERMINAL else {}
    said = {"observedGeneration": generation, "phase": phase, "reason": reason, "message": message}
    return before | said | {"conditions": listed} | over | more


def of_restore(restore: Object) -> Object:
    """What of the Restore's own status tells of the drill."""
    found = restore.get("status") or {}
    shown = {
        "set": found.get("set"),
        "recoveredTo": found.get("recoveredTo"),
        "bytes": get(found, int, "forecast", "copyBytes"),
        "seconds": {
            "copy": _between(found, "VolumeReady", "Restored"),
            "replay": _between(found, "Restored", "Recovered"),
        },
    }
    return {key: value for key, value in shown.items() if value is not None}


def _between(status: Object, first: str, last: str) -> int | None:
    listed = status.get("conditions") or []
    ends = [conditions.find(listed, kind) for kind in (first, last)]
    times = [moment(one["lastTransitionTime"]) for one in ends if one and one["status"] == "True"]
    if len(times) < 2 or times[0] is None or times[1] is None:
        return None
    return int((times[1] - times[0]).total_seconds())


def judged(report: Report) -> tuple[str, str, str]:
    """Phase, reason and message of a drill whose checks have ended."""
    failed, skipped = report.failed, [one for one in report.checks if one.outcome == "Skipped"]
    if failed:
        said = "; ".join(f"{one.name}: {one.message}" for one in failed[:3])
        return "Failed", "ChecksFailed", f"{len(failed)} of {len(report.checks)} checks failed: {said}"
    if not report.whole:
        return "Failed", "ChecksInterrupted", "the pod that ran the checks ended before they were done"
    text = f"{len(report.checks) - len(skipped)} checks passed"
    if skipped:
        text += f"; not done: {'; '.join(f'{one.name} ({one.message})' for one in skipped)}"
    return "Completed", "Completed", text
