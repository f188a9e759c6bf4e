"""Reading a Job: how it ended, and what its pod said in its termination message. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pgwarden.kube.client import Object


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


def result(pods: Iterable[Object]) -> dict[str, Any]:
    """The result of the Job's latest pod that left one; {} where none did (killed, or gone)."""
    latest: tuple[str, dict[str, Any]] = ("", {})
    for pod in pods:
        for status in pod.get("status", {}).get("containerStatuses", []):
            ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
            if not ended:
                continue
            parsed = _parse(ended.get("message", ""))
            if parsed and ended.get("finishedAt", "") >= latest[0]:
                latest = (ended.get("finishedAt", ""), parsed)
    return latest[1]


def _parse(message: str) -> dict[str, Any]:
    try:
        parsed = json.loads(message)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
