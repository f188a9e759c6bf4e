"""The pods in manifests, whether Pods or pod templates, and what the webhook's core decides about them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pgwarden.api import names, outside
from pgwarden.api.faults import Fault
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects
from pgwarden.injection import pipeline
from pgwarden.injection.decide import Inject, InjectionDecision, Refuse
from pgwarden.injection.patch import encode
from pgwarden.injection.settings import Settings

FindRepository = Callable[[str, str], Object | None]
#: What `misplaced_label` finds.
MISPLACED = "is on the workload, where it protects nothing; put it on the pod template's metadata"
#: kind → where its pod template is.
TEMPLATES: dict[str, tuple[str, ...]] = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "PodTemplate": ("template",),
}
#: Of workloads of other makers that have one: OpenShift's DeploymentConfig, Argo's Rollout, Kruise's CloneSet.
USUAL = ("spec", "template")


@dataclass(frozen=True)
class Template:
    """A pod as its workload would make it. `claims` are volumes that a StatefulSet adds to its pods by itself."""

    path: tuple[str, ...]  # in the document; () is a Pod itself
    pod: Object
    claims: frozenset[str] = frozenset()

    def field(self, inside: str) -> str:
        return ".".join((*self.path, inside)) if inside else ".".join(self.path)


def template_of(obj: Any, namespace: str) -> Template | None:
    """None where *obj* makes no pods, or has no readable template."""
    kind = get(obj, str, "kind") or ""
    where = get(obj, str, "metadata", "namespace") or namespace
    if kind == "Pod":
        pod = copy.deepcopy(obj)
        pod.setdefault("metadata", {})
        if isinstance(pod["metadata"], dict):
            pod["metadata"].setdefault("namespace", where)
        return Template((), pod)
    path = TEMPLATES.get(kind, USUAL)
    found = get(obj, dict, *path)
    if found is None or (kind not in TEMPLATES and not get(found, list, "spec", "containers")):
        return None
    metadata = {"generateName": f"{get(obj, str, 'metadata', 'name') or 'pod'}-", "namespace": where}
    own = found.get("metadata") if isinstance(found.get("metadata"), dict) else {}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata | copy.deepcopy(own or {})}
    pod["spec"] = copy.deepcopy(found.get("spec"))
    return Template(path, pod, _with_claims(obj, pod["spec"]) if kind == "StatefulSet" else frozenset())


def _with_claims(obj: Object, spec: Any) -> frozenset[str]:
    """The StatefulSet controller gives each pod a volume for each claim template: without them no data is on any."""
    if not isinstance(spec, dict) or not isinstance(spec.get("volumes", []), list):
        return frozenset()
    there = {volume.get("name") for volume in objects(spec, "volumes")}
    claims = [get(claim, str, "metadata", "name") or "" for claim in objects(obj, "spec", "volumeClaimTemplates")]
    added = [name for name in claims if name and name not in there]
    if added:
        owner = get(obj, str, "metadata", "name") or "pod"
        more = [{"name": name, "persistentVolumeClaim": {"claimName": f"{name}-{owner}-0"}} for name in added]
        spec["volumes"] = [*(spec.get("volumes") or []), *more]
    return frozenset(added)


def labelled(obj: Object, repository: str) -> Template | None:
    """The pod that the workload makes once its template carries the label; None where it has no readable template."""
    found = template_of(obj, get(obj, str, "metadata", "namespace") or "")
    if found is None or not isinstance(found.pod.get("metadata"), dict):
        return None
    pod = copy.deepcopy(found.pod)
    pod["metadata"]["labels"] = (pod["metadata"].get("labels") or {}) | {names.LABEL_REPOSITORY: repository}
    return Template(found.path, pod, found.claims)


def decision(template: Template, find: FindRepository, settings: Settings) -> InjectionDecision:
    """The webhook's own decision; what is not a pod is refused, as the API server would."""
    labels = get(template.pod, dict, "metadata", "labels") or {}
    name = labels.get(names.LABEL_REPOSITORY)
    where = get(template.pod, str, "metadata", "namespace") or ""
    try:
        return pipeline.decision_on(
            template.pod, find(where, name) if isinstance(name, str) and name else None, settings
        )
    except outside.UNREADABLE as error:
        return Refuse([Fault("", None, f"is not a valid pod: {error}", "pod")])


def misplaced_label(obj: Any, template: Template) -> bool:
    """The label on the workload itself, where it protects nothing, and not on its pods."""
    labels = get(obj, dict, "metadata", "labels") or {}
    inside = get(template.pod, dict, "metadata", "labels") or {}
    return bool(template.path) and names.LABEL_REPOSITORY in labels and names.LABEL_REPOSITORY not in inside


def injected(obj: Object, template: Template, injection: Inject) -> Object:
    """*obj* with its pod, or its template, as the webhook would leave it."""
    pod = apply(template.pod, json.loads(encode(pipeline.operations(injection))))
    if not template.path:
        return copy.deepcopy(obj) | {"metadata": _metadata(obj, pod), "spec": pod["spec"]}
    pod["spec"]["volumes"] = [
        each for each in pod["spec"].get("volumes", []) if each.get("name") not in template.claims
    ]
    changed = copy.deepcopy(obj)
    place = changed
    for part in template.path:
        place = place[part]
    place["metadata"], place["spec"] = _metadata(place, pod), pod["spec"]
    return changed


def _metadata(before: Object, pod: Object) -> Object:
    """The webhook writes annotations and nothing else into metadata."""
    return (before.get("metadata") or {}) | {"annotations": pod["metadata"]["annotations"]}


def apply(document: Object, operations: list[Object]) -> Object:
    """RFC 6902, the operations that the webhook uses: add, replace and remove (of a list's element)."""
    result: Object = copy.deepcopy(document)
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        target: Any = result
        for part in parents:
            target = target[int(part)] if isinstance(target, list) else target[part]
        if operation["op"] == "remove":
            target.pop(int(last))
        elif isinstance(target, dict):
            target[last] = operation["value"]
        elif operation["op"] == "replace":
            target[int(last)] = operation["value"]
        else:
            target.insert(len(target) if last == "-" else int(last), operation["value"])
    return result
