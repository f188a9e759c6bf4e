"""Reading a Job: how it ended, and what its pod said in its termination message. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from pgwarden.api import outside
from pgwarden.kube.client import Object


class _Said(msgspec.Struct):
    """What agent.job writes at its end; a message of another shape is somebody else's."""

    ok: bool = False
    exitCode: int = 0  # noqa: N815  as it is written
    error: str = ""
    label: str = ""
    set: str = ""
    expired: list[str] = []
    seconds: float = 0.0


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
        for status in pod.get("status", {}).get("containerStatuses") or []:
            ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")
            if not ended:
                continue
            parsed = _parse(ended.get("message", ""))
            if parsed and ended.get("finishedAt", "") >= latest[0]:
                latest = (ended.get("finishedAt", ""), parsed)
    return latest[1]


def _parse(message: object) -> dict[str, Any]:
    if outside.decode(message, _Said) is None:
        return {}
    found = outside.decode_object(message) or {}
    return {key: outside.printable(value) if isinstance(value, str) else value for key, value in found.items()}
