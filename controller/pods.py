"""Reading a pod, of whatever it is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from controller.runtime import conditions
from pgwarden.api import names, outside
from pgwarden.api.kinds import PodFacts
from pgwarden.api.objects import Object


def is_ready(pod: Object) -> bool:
    """Whether it is there to stay, and Ready."""
    return "deletionTimestamp" not in pod["metadata"] and conditions.is_true(pod, "Ready")


def has_ended(pod: Object) -> bool:
    """Whether all its containers have, for good: an evicted pod's, too."""
    return pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}


def is_over(pod: Object) -> bool:
    """Whether its node says of each of its containers that it has ended: nothing of it writes to a volume any more.

    The phase alone may come from elsewhere, as for the pods of a node that is gone.
    """
    told = {one["name"] for one in _statuses(pod) if "terminated" in one.get("state", {})}
    containers = [*pod["spec"].get("initContainers", []), *pod["spec"].get("containers", [])]
    return has_ended(pod) and bool(containers) and {one["name"] for one in containers} <= told


def _statuses(pod: Object) -> list[Object]:
    """Of its containers, in the order in which they start."""
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def waiting_reason(pods: Iterable[Object]) -> str:
    """Why one of *pods* does not start, where Kubernetes says so: unschedulable, image not there."""
    for pod in pods:
        for condition in pod.get("status", {}).get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"pod {pod['metadata']['name']} cannot be scheduled: {condition.get('message', '')}"
        for status in _statuses(pod):
            waiting = status.get("state", {}).get("waiting") or {}
            if waiting.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
                return f"pod {pod['metadata']['name']}: {waiting['reason']}: {waiting.get('message', '')}"
    return ""


def refused(deployment: Object | None) -> str:
    """Why Kubernetes creates no pod of *deployment*, such as a quota; empty where it does."""
    for condition in (deployment or {}).get("status", {}).get("conditions") or []:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return str(condition.get("message", ""))
    return ""


def postgres_facts(pod: Object) -> PodFacts | None:
    """What the webhook wrote on *pod*; None where nothing is, or what the webhook does not write.

    Whoever may change the pod may change that. So it is looked at: it goes into configuration files, line by line.
    """
    found = outside.decode((pod["metadata"].get("annotations") or {}).get(names.ANNOTATION_POSTGRES), PodFacts)
    if found is None or not 0 < found.port < 65536 or not found.data_directory.startswith("/"):
        return None
    values = msgspec.structs.astuple(found)
    return found if all(value.isprintable() for value in values if isinstance(value, str)) else None


def hosts(found: Sequence[Object]) -> list[Object]:
    """Of *found* those that answer for a Repository's storages: the repository host's, then the spare one's."""
    order = (names.COMPONENT_HOST, names.COMPONENT_SPARE)
    told = [(pod["metadata"].get("labels") or {}).get(names.LABEL_COMPONENT) for pod in found]
    return [pod for wanted in order for pod, component in zip(found, told, strict=True) if component == wanted]


def is_spare(pod: Object) -> bool:
    """Whether it answers in the repository host's place, without the volume."""
    return bool(pod["metadata"]["labels"].get(names.LABEL_COMPONENT) == names.COMPONENT_SPARE)
