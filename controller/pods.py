"""Reading a pod, of whatever it is. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from controller.runtime import conditions
from pgwarden.api import names, outside
from pgwarden.api.kinds import PodFacts
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, is_going, moment, objects
from pgwarden.api.reasons import NOT_STARTING, UNSCHEDULABLE
from pgwarden.contract import environment


def is_ready(pod: Object) -> bool:
    """Whether it is there to stay, and Ready."""
    return not is_going(pod) and conditions.is_true(pod, "Ready")


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


def image_of(pod: Object, container: str) -> str:
    """Of that container, as its spec names it; empty where there is none."""
    both = [*objects(pod, "spec", "initContainers"), *objects(pod, "spec", "containers")]
    return next((get(one, str, "image") or "" for one in both if one.get("name") == container), "")


@dataclass(frozen=True)
class Held:
    """What keeps a pod from running, in Kubernetes' own words."""

    reason: str  # one of pgwarden.api.reasons.HELD
    message: str


#: What the kubelet says of a container on its way, or between two starts of one that ended.
_ON_ITS_WAY = frozenset({None, "ContainerCreating", "PodInitializing"})
_ENDED = "CrashLoopBackOff"


def held(pods: Iterable[Object], container: str = "") -> Held | None:
    """Why one of *pods* does not start, where Kubernetes says so: unschedulable, image not there. With the name of a
    *container*, why that one does not; not that it started and ended, which turns with each try.
    """
    passing = _ON_ITS_WAY | ({_ENDED} if container else set())
    for pod in pods:
        name = pod["metadata"]["name"]
        for condition in pod.get("status", {}).get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return Held(UNSCHEDULABLE, f"pod {name} cannot be scheduled: {condition.get('message', '')}")
        for status in _statuses(pod):
            waiting = status.get("state", {}).get("waiting") or {}
            if container and status.get("name") != container:
                continue
            if waiting.get("reason") not in passing:
                text = f"pod {name}: {waiting['reason']}: {waiting.get('message', '')}"
                return Held(NOT_STARTING, text + _ended_last(status))
    return None


def _ended_last(status: Object) -> str:
    """Why the container did not stay, where more is known than its exit code."""
    ended = status.get("lastState", {}).get("terminated") or {}
    return f" (it ended with {ended['reason']})" if ended.get("reason") == OUT_OF_MEMORY else ""


def waiting_reason(pods: Iterable[Object]) -> str:
    """What `held` says; empty where nothing keeps them."""
    found = held(pods)
    return found.message if found else ""


OUT_OF_MEMORY = "OOMKilled"


@dataclass(frozen=True)
class Killed:
    """A container that was, for want of memory."""

    container: str
    message: str


def out_of_memory(pods: Iterable[Object], since: datetime | None = None) -> Killed | None:
    """Which container of *pods* was killed for want of memory, not before *since*; None where none was."""
    for pod in pods:
        limits = {
            one["name"]: get(one, dict, "resources", "limits") or {}
            for one in [*objects(pod, "spec", "initContainers"), *objects(pod, "spec", "containers")]
        }
        for status in _statuses(pod):
            for state in (status.get("state") or {}, status.get("lastState") or {}):
                ended = state.get("terminated") or {}
                at = moment(ended.get("finishedAt"))
                if ended.get("reason") != OUT_OF_MEMORY or (since and (at is None or at < since)):
                    continue
                container, name = str(status["name"]), pod["metadata"]["name"]
                limit = limits.get(container, {}).get("memory")
                more = f" with a limit of {limit}" if limit else ""
                text = f"container {container} of pod {name} was killed for want of memory (OOMKilled{more})"
                return Killed(container, text)
    return None


def refused(deployment: Object | None) -> str:
    """Why Kubernetes creates no pod of *deployment*, such as a quota; empty where it does."""
    for condition in (deployment or {}).get("status", {}).get("conditions") or []:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return words(str(condition.get("message", "")))
    return ""


#: Of a pod's name what is made up for each attempt: with it each would be another message.
_MADE_UP = re.compile(r'(pods? "[^"]*)-[a-z0-9]{5}"')
_LONGEST = 600  # characters


def words(message: str) -> str:
    """Kubernetes' *message* on a pod that it does not create, the same for each attempt."""
    said = _MADE_UP.sub(r'\1"', outside.printable(message)).removeprefix("Error creating: ")
    return said[:_LONGEST]


def postgres_facts(pod: Object) -> PodFacts | None:
    """What the webhook wrote on *pod*; None where nothing is, or what the webhook does not write.

    Whoever may change the pod may change that. So it is looked at: it goes into configuration files, line by line.
    """
    found = outside.decode((pod["metadata"].get("annotations") or {}).get(names.ANNOTATION_POSTGRES), PodFacts)
    if found is None or not found.data_directory.startswith("/") or not _from_the_sidecar(pod, found):
        return None
    by_reference = any(one.variable == environment.PORT for one in found.sources)
    if not (0 if by_reference else 1) <= found.port < 65536:
        return None
    values = msgspec.structs.astuple(found)
    return found if all(value.isprintable() for value in values if isinstance(value, str)) else None


def _from_the_sidecar(pod: Object, found: PodFacts) -> bool:
    """Whether the sidecar has each of these references. They go on to Jobs, and an annotation can be changed by who may
    not read Secrets; the variables of a container cannot.
    """
    if not found.sources:
        return True
    containers = pod["spec"].get("initContainers") or []
    sidecar: Object = next((one for one in containers if one["name"] == names.CONTAINER_SIDECAR), {})
    has = sidecar.get("env") or []
    return all(one in has for one in environment.by_reference(found))


def component(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(names.LABEL_COMPONENT) or "")


def is_spare(pod: Object) -> bool:
    """Whether it answers in the repository host's place, without the volume."""
    return component(pod) == names.COMPONENT_SPARE
