"""Every PostgreSQL among workloads and pods: whether it is protected, and if not, whether it could be. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from pgwarden.api import names, owners
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects
from pgwarden.discovery.likeness import Likeness, likeness
from pgwarden.injection.decide import Refuse
from pgwarden.injection.settings import Settings
from pgwarden.injection.workloads import decision, labelled, template_of

#: A Repository, as it would be made for a workload: its namespace and name.
MakeRepository = Callable[[str, str], Object]
#: Kinds whose pod template a user can change: the label goes there, and stays.
WITH_TEMPLATE = frozenset({"StatefulSet", "Deployment"})

PROTECTED = "protected"
RESTART_OWED = "restart owed"  # the label is there, and pods run that were made without it, or before the webhook
NO_REPOSITORY = "no Repository"  # the label names one that is not there
INJECTABLE = "injectable"
REFUSED = "refused"  # with the label its pods would be
OPERATED = "another operator's"
BARE = "no template"  # a pod that nobody makes again, or one whose maker is not known here


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One PostgreSQL: a workload with its pods, or pods whose workload cannot be seen."""

    namespace: str
    kind: str
    name: str
    likeness: Likeness
    state: str
    pods: int  # that run, or would
    injected: int = 0  # of them
    repository: str = ""  # that the label names, or that would be made
    exists: bool = False  # the Repository, already
    reasons: tuple[str, ...] = ()  # why it is in that state, sentence by sentence
    warnings: tuple[str, ...] = ()  # of the webhook, when the label comes

    @property
    def title(self) -> str:
        return f"{self.kind.lower()}/{self.name}"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the user may read, of one namespace or of all."""

    workloads: tuple[Object, ...] = ()  # StatefulSets and Deployments, each with its kind
    pods: tuple[Object, ...] = ()
    repositories: tuple[Object, ...] = ()
    knows_repositories: bool = True  # False: they may not be read


def findings(seen: Seen, make: MakeRepository, settings: Settings) -> list[Finding]:
    """By namespace and name. *make* gives the Repository that an unprotected one would get."""
    of_owner: dict[tuple[str, str, str], list[Object]] = {}
    for pod in seen.pods:
        if not _is_over(pod):
            of_owner.setdefault(owner_of(pod), []).append(pod)
    found = [_of_workload(one, of_owner.pop(_key(one), []), seen, make, settings) for one in seen.workloads]
    found += [_of_pods(key, pods, seen, make, settings) for key, pods in of_owner.items()]
    return sorted((one for one in found if one is not None), key=lambda one: (one.namespace, one.name, one.kind))


def owner_of(pod: Object) -> tuple[str, str, str]:
    """Namespace, kind and name of what makes it; of a ReplicaSet its Deployment. Of a bare pod itself."""
    namespace = get(pod, str, "metadata", "namespace") or ""
    listed = objects(pod, "metadata", "ownerReferences")
    owner = next((one for one in listed if one.get("controller")), listed[0] if listed else None)
    if owner is None:
        return namespace, "Pod", get(pod, str, "metadata", "name") or ""
    return namespace, *owners.workload(owner, pod)


def _key(workload: Object) -> tuple[str, str, str]:
    metadata = workload["metadata"]
    return metadata.get("namespace", ""), workload["kind"], metadata["name"]


def _is_over(pod: Object) -> bool:
    return get(pod, str, "status", "phase") in {"Succeeded", "Failed"}


def _of_workload(
    workload: Object, pods: list[Object], seen: Seen, make: MakeRepository, settings: Settings
) -> Finding | None:
    namespace, kind, name = _key(workload)
    template = template_of(workload, namespace)
    like = likeness(template.pod) if template else None
    if template is None or like is None:
        return None
    replicas = get(workload, int, "spec", "replicas")
    count = len(pods) or (1 if replicas is None else replicas)
    label = get(template.pod, str, "metadata", "labels", names.LABEL_REPOSITORY) or ""
    base = Finding(
        namespace=namespace, kind=kind, name=name, likeness=like, state="", pods=count, injected=_injected(pods)
    )
    if label:
        return _labelled(base, label, pods, seen)
    operator = like.operator or _maker(workload)
    if operator:
        return _with(base, OPERATED, reasons=(_operated(operator),))
    return _unprotected(base, workload, seen, make, settings)


def _of_pods(
    key: tuple[str, str, str], pods: list[Object], seen: Seen, make: MakeRepository, settings: Settings
) -> Finding | None:
    """Pods whose workload was not read: of another kind, or one that the user may not see."""
    namespace, kind, name = key
    likenesses = [like for like in map(likeness, pods) if like is not None]
    if not likenesses:
        return None
    pod, like = pods[0], likenesses[0]
    base = Finding(
        namespace=namespace, kind=kind, name=name, likeness=like, state="", pods=len(pods), injected=_injected(pods)
    )
    label = get(pod, str, "metadata", "labels", names.LABEL_REPOSITORY) or ""
    if label:
        return _labelled(base, label, pods, seen)
    if like.operator:
        return _with(base, OPERATED, reasons=(_operated(like.operator),))
    if kind in WITH_TEMPLATE:
        return _unprotected(base, {"kind": "Pod"} | pod, seen, make, settings)
    if kind == "Pod":
        reason = (
            "nothing makes this pod again, and the label counts only when a pod is created; run it by a StatefulSet"
        )
    else:
        reason = f"a {kind} makes its pods; put the label where that has their labels"
    return _with(base, BARE, reasons=(reason,))


def _maker(workload: Object) -> str:
    """What makes the workload itself, and would take a label off again."""
    owners = objects(workload, "metadata", "ownerReferences")
    owner = next((one for one in owners if one.get("controller")), None)
    return f"{owner.get('kind')} {owner.get('name')}" if owner else ""


def _operated(operator: str) -> str:
    return (
        f"{operator} makes its pods, so that a label put on by hand is taken off again; use the backups that it offers"
    )


def _injected(pods: Iterable[Object]) -> int:
    return sum(bool(get(pod, str, "metadata", "annotations", names.ANNOTATION_INJECTED)) for pod in pods)


def _labelled(base: Finding, label: str, pods: list[Object], seen: Seen) -> Finding:
    exists = _repository(seen, base.namespace, label) is not None
    base = _with(base, PROTECTED, repository=label, exists=exists or not seen.knows_repositories)
    if seen.knows_repositories and not exists:
        return _with(base, NO_REPOSITORY, reasons=(f"there is no Repository {label} in namespace {base.namespace}",))
    bare = len(pods) - base.injected
    if pods and bare:
        text = f"{bare} of its {len(pods)} pods started without pgwarden; restart them"
        return _with(base, RESTART_OWED, reasons=(text,))
    return base


def _unprotected(base: Finding, makes: Object, seen: Seen, make: MakeRepository, settings: Settings) -> Finding:
    """Whether the webhook would inject it, by the webhook's own core."""
    if base.namespace == "kube-system":
        return _with(base, REFUSED, reasons=("no pod of kube-system is injected; run it in a namespace of its own",))
    there = _repository(seen, base.namespace, base.name)
    repository = there or make(base.namespace, base.name)
    template = labelled(makes, base.name)
    if template is None:
        return _with(base, REFUSED, reasons=("its pod template cannot be read",))
    decided = decision(template, lambda _, __: repository, settings)
    base = _with(base, INJECTABLE, repository=base.name, exists=there is not None)
    if isinstance(decided, Refuse):
        said = tuple(f"{template.field(fault.field)}: {fault.message}" for fault in decided.faults)
        return _with(base, REFUSED, reasons=said)
    return _with(base, INJECTABLE, warnings=getattr(decided, "warnings", ()))


def _repository(seen: Seen, namespace: str, name: str) -> Object | None:
    known = (
        (get(one, str, "metadata", "namespace"), get(one, str, "metadata", "name"), one) for one in seen.repositories
    )
    return next((one for where, called, one in known if (where, called) == (namespace, name)), None)


def _with(finding: Finding, state: str, **more: object) -> Finding:
    return msgspec.structs.replace(finding, state=state, **more)


def patches(found: Iterable[Finding]) -> Iterator[tuple[Finding, Object]]:
    """The label of each that can be injected: of its workload only what `kubectl apply --server-side` is to own."""
    for one in found:
        if one.state == INJECTABLE:
            metadata = {"name": one.name, "namespace": one.namespace}
            template = {"metadata": {"labels": {names.LABEL_REPOSITORY: one.repository}}}
            yield one, {"apiVersion": "apps/v1", "kind": one.kind, "metadata": metadata, "spec": {"template": template}}
