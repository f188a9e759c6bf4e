"""The volume that the local storage is on, and why the repository host cannot have it. Pure.

Never is a claim deleted here: a node or a disk may come back with good backups. The word to go on without them is the
user's, by deleting the claim; pgwarden then makes a new, empty one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller import jobs
from controller.pods import has_ended, is_ready, is_spare, waiting_reason
from controller.runtime import conditions
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, is_going, moment
from pgwarden.api.reasons import REFUSED
from pgwarden.pgbackrest.trouble import Trouble

#: A host that is not ready for so long is not waited for: where there is another storage, a spare one answers.
PATIENCE = timedelta(minutes=2)


@dataclass(frozen=True)
class VolumeView:
    """What Kubernetes says of it. *volume* and *node* None: there is none of that name, or no name is known."""

    claim: Object
    volume: Object | None = None
    node_name: str = ""  # of the node that it is bound to, or that its pod is on
    node: Object | None = None


def volume_name(claim: Object) -> str:
    return get(claim, str, "spec", "volumeName") or ""


def node_name(volume: Object | None, hosts: list[Object]) -> str:
    """The one node that the volume is on, as far as anybody says: itself, or the pod that has it."""
    terms = get(volume, list, "spec", "nodeAffinity", "required", "nodeSelectorTerms") or []
    for term in terms if len(terms) == 1 else ():
        for one in get(term, list, "matchExpressions") or []:
            values = get(one, list, "values") or []
            if get(one, str, "key") == "kubernetes.io/hostname" and len(values) == 1:
                return str(values[0])
    on = [get(one, str, "spec", "nodeName") for one in hosts if not is_spare(one)]
    return next((name for name in on if name), "")


def lost(view: VolumeView, hosts: list[Object]) -> Trouble | None:
    """What is known to keep the host from its volume; None where nothing is, and it may just be starting."""
    name, volume = view.claim["metadata"]["name"], volume_name(view.claim)
    phase = get(view.claim, str, "status", "phase")
    if is_going(view.claim):
        held = [pod["metadata"]["name"] for pod in hosts if not is_spare(pod) and "nodeName" in pod["spec"]]
        return Trouble("ClaimTerminating", terminating(name, held))
    if phase == "Lost" or (volume and view.volume is None):
        sentence = f"volume {volume} of claim {name} no longer exists; {_way_out(name)}"
        return Trouble("VolumeLost", sentence)
    if view.node_name and view.node is None:
        sentence = f"node {view.node_name}, which volume {volume} is on, no longer exists; {_way_out(name)}"
        return Trouble("NodeLost", sentence)
    if view.node is not None and not conditions.is_true(view.node, "Ready"):
        sentence = (
            f"node {view.node_name}, which volume {volume} is on, is not ready; the storage is back when the node is. "
            f"If it is lost for good, delete the Node and the claim ({_word(name)}): pgwarden then creates a new, "
            "empty claim"
        )
        return Trouble("NodeNotReady", sentence)
    return None


def away(view: VolumeView, hosts: list[Object], refused: str = "", said: str = "") -> Trouble:
    """Of a host that has not been ready for long. *refused*: why Kubernetes creates no pod of it, where it does not.
    *said*: why its agent is not believed, where its pod is ready.
    """
    found = lost(view, hosts)
    if found is not None:
        return found
    name = view.claim["metadata"]["name"]
    own = [pod for pod in hosts if not is_spare(pod)]
    if said and any(is_ready(pod) for pod in own):
        return Trouble("HostNotReady", f"the repository host does not say what is on it: {said}")
    if refused and not own:
        return Trouble(REFUSED, f"Kubernetes creates no pod of the repository host: {refused}")
    if get(view.claim, str, "status", "phase") == "Pending":
        return Trouble("ClaimPending", f"claim {name} is not bound to a volume; see kubectl describe pvc {name}")
    why = waiting_reason(own)
    pod = own[-1]["metadata"]["name"] if own else ""
    if not why:
        why = f"pod {pod} does not start; see kubectl describe pod {pod}" if pod else "the repository host has no pod"
    return Trouble("StorageAway", f"volume {volume_name(view.claim)} of claim {name} is not mounted: {why}")


def is_spare_wanted(hosts: list[Object], trouble: Trouble | None, since: str, now: datetime) -> bool:
    """Whether another pod is to answer for the storages that are not on the volume. *trouble*: what `lost` says.
    *since*: how long nothing has been readable, where there is no pod that tells.
    """
    own = [pod for pod in hosts if not is_spare(pod)]
    if any(is_ready(pod) for pod in own):
        return False
    return trouble is not None or len(own) < len(hosts) or is_late(hosts, since, now)


def is_late(hosts: list[Object], since: str, now: datetime) -> bool:
    """Whether the host has not been ready for longer than a start takes."""
    own = [pod for pod in hosts if not is_spare(pod)]
    if any(is_ready(pod) for pod in own):
        return False  # it has its volume, whatever its agent says
    turned = [time for pod in own if (time := _unready_since(pod))]
    waits = max(turned) if turned else moment(since)
    return waits is not None and now - waits >= PATIENCE


def _unready_since(pod: Object) -> datetime | None:
    ready = conditions.find(pod.get("status", {}).get("conditions") or [], "Ready") or {}
    return moment(ready.get("lastTransitionTime")) or moment(pod["metadata"].get("creationTimestamp"))


def _word(claim: str) -> str:
    return f"kubectl delete pvc {claim}"


def _way_out(claim: str) -> str:
    return f"if it is lost for good, delete the claim ({_word(claim)}): pgwarden then creates a new, empty one"


def spent(claim: str, pods: Iterable[Object], listed: Iterable[Object], over: Collection[str]) -> list[Object]:
    """Of the Jobs *listed* those that have ended, and one of whose *pods* still holds *claim*: Kubernetes keeps a claim
    for each pod that there is, ended or not. *over*: uids of the operations that want their Job no more. A Job of
    nobody of these has no more than our labels, and stays.
    """
    holding = {one.get("uid") for pod in pods if has_ended(pod) and _uses(pod, claim) for one in _owners(pod)}
    ended = [job for job in listed if job["metadata"]["uid"] in holding and jobs.finished(job)]
    return [job for job in ended if any(one.get("uid") in over for one in _owners(job))]


def _uses(pod: Object, claim: str) -> bool:
    volumes = get(pod, list, "spec", "volumes") or []
    return any(get(one, str, "persistentVolumeClaim", "claimName") == claim for one in volumes)


def _owners(obj: Object) -> list[Object]:
    return list(obj["metadata"].get("ownerReferences") or [])


def terminating(claim: str, held: list[str]) -> str:
    """*held*: the pods that have its volume."""
    if not held:
        return f"claim {claim} is being deleted; a new, empty one follows"
    pods = " and ".join(f"pod {name}" for name in held)
    return (
        f"claim {claim} is being deleted, and {pods} still holds its volume: the backups on it go with the pod. To go "
        f"on with a new, empty claim, delete the pod (--force where its node is lost)"
    )
