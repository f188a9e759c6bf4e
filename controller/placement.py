"""Where pods of ours run, and how: by a podTemplate, and by the pods that are protected. Pure.

Taken over is what lets a pod run where PostgreSQL's nodes are (tolerations, pull secrets), and what it is worth (its
priority). Node labels only as a preference: what keeps databases together must not keep their backups from starting,
least of all where the repository's volume is on another node. Nothing that speaks of pods (affinity to them, spread) is
taken over: it counts the database's own. Nor is the name of one node: with that node both would be lost.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import msgspec

from pgwarden.api import names, outside
from pgwarden.api.kinds import PodMetadata, PodScheduling
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects

PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
#: What an image can run on at all: needed of a node, not only preferred.
_MACHINE = frozenset({"kubernetes.io/os", "kubernetes.io/arch"})
#: Kubernetes itself gives these to each pod, or to those of one node.
_KUBERNETES_OWN = "node.kubernetes.io/"
_ONE_NODE = "kubernetes.io/hostname"
#: Classes that may evict anything: for what keeps a cluster running.
_SYSTEM = "system-"
#: Of a pod's spec, what says which nodes can run it, and its images.
_OF_NODES = (
    "nodeSelector",
    "tolerations",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "imagePullSecrets",
)
_MOST = 32  # entries of a list that are taken over


class Inherited(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What is taken over from a pod."""

    node_selector: dict[str, str] = {}
    preferred: list[dict[str, Any]] = []
    tolerations: list[dict[str, Any]] = []
    priority_class_name: str = ""
    image_pull_secrets: list[str] = []


NOTHING = Inherited()


def of_pod(pod: Object) -> Inherited:
    spec = get(pod, dict, "spec") or {}
    labels = get(spec, dict, "nodeSelector") or {}
    priority = str(spec.get("priorityClassName") or "")
    tolerations = [one for one in objects(spec, "tolerations") if not _is_kubernetes_own(one)]
    return Inherited(
        node_selector={name: value for name, value in sorted(labels.items()) if name in _MACHINE},
        preferred=list(itertools.islice(_preferred(spec, labels), _MOST)),
        tolerations=tolerations[:_MOST],
        priority_class_name="" if priority.startswith(_SYSTEM) else priority,
        image_pull_secrets=[one["name"] for one in objects(spec, "imagePullSecrets") if get(one, str, "name")][:_MOST],
    )


def _is_kubernetes_own(toleration: Object) -> bool:
    return str(toleration.get("key") or "").startswith(_KUBERNETES_OWN)


def _preferred(spec: Object, labels: Object) -> Iterable[Object]:
    own = [{"key": name, "operator": "In", "values": [value]} for name, value in sorted(labels.items())]
    affinity = get(spec, dict, "affinity", "nodeAffinity") or {}
    terms = [{"matchExpressions": [one for one in own if one["key"] not in _MACHINE]}]
    terms += objects(affinity, REQUIRED, "nodeSelectorTerms")
    given = [{"weight": 100, "preference": term} for term in terms] + objects(affinity, PREFERRED)
    for one in given:
        kept = _of_no_single_node(get(one, dict, "preference") or {})
        if kept:
            yield one | {"preference": kept}


def _of_no_single_node(term: Object) -> Object:
    kept = [one for one in objects(term, "matchExpressions") if one.get("key") != _ONE_NODE]
    return {"matchExpressions": kept} if kept else {}


def chosen(pods: Iterable[Object], current: Inherited | None) -> Inherited:
    """From which of *pods*: *current* stays as long as one of them is like it, or there is none to ask."""
    found = [of_pod(pod) for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))]
    if current is not None and (not found or current in found):
        return current
    return found[0] if found else NOTHING


def noted(deployment: Object | None) -> Inherited | None:
    """What *deployment* was made with."""
    text = (get(deployment, dict, "metadata", "annotations") or {}).get(names.ANNOTATION_TAKEN_OVER)
    return outside.decode(text, Inherited)


def note(taken: Inherited) -> str:
    return msgspec.json.encode(taken, order="deterministic").decode()


def fields(given: PodScheduling, taken: Inherited = NOTHING) -> Object:
    """For a pod's spec. What is given wins, also where it is empty."""
    of_nodes = given.node_selector is not None or given.affinity is not None
    preferred = {"nodeAffinity": {PREFERRED: taken.preferred}} if taken.preferred and not of_nodes else {}
    secrets = taken.image_pull_secrets if given.image_pull_secrets is None else pull_secrets(given)
    priority = taken.priority_class_name if given.priority_class_name is None else given.priority_class_name
    wanted: Object = {
        "nodeSelector": given.node_selector if of_nodes else taken.node_selector,
        "tolerations": taken.tolerations if given.tolerations is None else given.tolerations,
        "affinity": preferred if given.affinity is None else given.affinity,
        "topologySpreadConstraints": given.topology_spread_constraints,
        "priorityClassName": priority,
        "runtimeClassName": given.runtime_class_name,
        "schedulerName": given.scheduler_name,
        "imagePullSecrets": [{"name": name} for name in secrets],
    }
    return {name: value for name, value in wanted.items() if value}


def beside(given: PodScheduling, workload: Object) -> Object:
    """For a pod that has to run where a *workload* runs, by fields of its own: of *given* what does not say where."""
    own = {one["name"]: one for one in workload.get("imagePullSecrets") or []}
    own |= {name: {"name": name} for name in pull_secrets(given)}
    made = workload | ({"imagePullSecrets": list(own.values())} if own else {})
    return made | ({"priorityClassName": given.priority_class_name} if given.priority_class_name else {})


def like(spec: Object, node: str = "") -> Object:
    """Where a recovery for a workload of this pod *spec* may run, best on *node*.

    Affinity to and against other pods is left out: the pod that is replaced still stands.
    """
    found = {key: spec[key] for key in _OF_NODES if spec.get(key)}
    node_affinity = dict((spec.get("affinity") or {}).get("nodeAffinity") or {})
    if node:
        # The new volume is made where the Job runs: there the pod could be, with all that it mounts.
        here = {"matchExpressions": [{"key": _ONE_NODE, "operator": "In", "values": [node]}]}
        node_affinity[PREFERRED] = [*(node_affinity.get(PREFERRED) or []), {"weight": 100, "preference": here}]
    if node_affinity:
        found["affinity"] = {"nodeAffinity": node_affinity}
    return found


def pull_secrets(given: PodScheduling) -> list[str]:
    return [one.name for one in given.image_pull_secrets or ()]


def with_term(spec: Object, kind: str, strength: str, term: Object) -> None:
    """Put *term* first into the affinity (`podAffinity`, `podAntiAffinity`) of a pod's *spec*, which is changed."""
    affinity = dict(spec.get("affinity") or {})
    own = dict(affinity.get(kind) or {})
    own[strength] = [term, *(own.get(strength) or [])]
    spec["affinity"] = affinity | {kind: own}


def metadata(given: PodMetadata, labels: dict[str, str]) -> Object:
    """Of a pod template: *labels* are ours."""
    made: Object = {"labels": given.labels | labels}
    return made | ({"annotations": dict(given.annotations)} if given.annotations else {})
