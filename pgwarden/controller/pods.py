"""Reading a pod, of whatever it is. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pgwarden.controller.runtime import conditions
from pgwarden.kube.client import Object


def is_ready(pod: Object) -> bool:
    """Whether it is there to stay, and Ready."""
    return "deletionTimestamp" not in pod["metadata"] and conditions.is_true(pod, "Ready")


def has_ended(pod: Object) -> bool:
    """Whether all its containers have, for good: an evicted pod's, too."""
    return pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}


def waiting_reason(pods: Iterable[Object]) -> str:
    """Why one of *pods* does not start, where Kubernetes says so: unschedulable, image not there."""
    for pod in pods:
        for condition in pod.get("status", {}).get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"pod {pod['metadata']['name']} cannot be scheduled: {condition.get('message', '')}"
        for status in pod.get("status", {}).get("containerStatuses", []):
            waiting = status.get("state", {}).get("waiting") or {}
            if waiting.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
                return f"pod {pod['metadata']['name']}: {waiting['reason']}: {waiting.get('message', '')}"
    return ""
