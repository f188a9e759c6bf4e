"""Whose an object is, by what the object itself says. Pure.

Names and labels are anybody's to give. What is used, changed or deleted has an owner reference with the uid of the one
that acts; or, where adoption is meant (volumes that outlive what they were made for), all of our labels and no owner.
"""

from __future__ import annotations

from collections.abc import Mapping

from pgwarden.api import names
from pgwarden.api.objects import Object


def is_owned(obj: Object, uid: str) -> bool:
    return any(one.get("uid") == uid for one in obj["metadata"].get("ownerReferences") or [])


def is_ours(obj: Object, uid: str, labels: Mapping[str, str] | None = None) -> bool:
    """Whether it has the owner *uid*; or, with *labels*, is one to adopt. Who changes or deletes asks this before."""
    return is_owned(obj, uid) or (labels is not None and is_adoptable(obj, labels))


def is_adoptable(obj: Object, labels: Mapping[str, str]) -> bool:
    """Whether it has no owner, and each of *labels*."""
    metadata = obj["metadata"]
    return not metadata.get("ownerReferences") and labels.items() <= (metadata.get("labels") or {}).items()


def is_instances_claim(claim: Object, cluster: Object) -> bool:
    """Whether *claim* is the data volume's of an instance of the PostgresCluster *cluster*.

    Those of a cluster that was deleted without its dependents (`--cascade=orphan`) have no owner, and are adopted.
    """
    name = claim["metadata"]["name"]
    labels = {
        names.MANAGED_BY: "pgwarden",
        names.LABEL_CLUSTER: cluster["metadata"]["name"],
        names.LABEL_INSTANCE: name,
    }
    return is_ours(claim, cluster["metadata"]["uid"], labels)


class InTheWayError(Exception):
    """An object of a name that one of ours needs is not its own. The message says which, and what to do."""


#: Labels that say what something was made for. What has them and no owner was left by `--cascade=orphan`.
_IDENTITY = (names.MANAGED_BY, names.LABEL_OWNER_REPOSITORY, names.LABEL_CLUSTER)
_NAMED = {"PostgresCluster": "cluster"}


def not_the_repositorys(found: Object, repository: Object) -> str:
    """Why *found*, a Secret of a name that is *repository*'s, is not believed; empty where it is."""
    name, uid = repository["metadata"]["name"], repository["metadata"]["uid"]
    labels = {names.MANAGED_BY: "pgwarden", names.LABEL_OWNER_REPOSITORY: names.short(name, 63)}
    return "" if is_ours(found, uid, labels) else in_the_way("Secret", found, "Repository", labels)


def stranger(found: Object | None, made: Object) -> str:
    """Why *made*, which has an owner, may not be applied over *found*, which has its name; empty where it may.

    One without an owner is taken up by its labels. A Deployment never is: what it runs may be anybody's.
    """
    (owner,) = made["metadata"]["ownerReferences"]
    given = made["metadata"].get("labels") or {}
    labels = {key: given[key] for key in _IDENTITY if key in given} if made["kind"] != "Deployment" else None
    if found is None or is_ours(found, owner["uid"], labels):
        return ""
    return in_the_way(made["kind"], found, owner["kind"], labels)


def prove(found: Object | None, made: Object) -> None:
    """Before *made* is applied by force: InTheWayError where *found*, of its name, is another's."""
    why = stranger(found, made)
    if why:
        raise InTheWayError(why)


def in_the_way(kind: str, found: Object, owner: str, labels: Mapping[str, str] | None = None) -> str:
    """What is said of *found*, a *kind*, in the status of an *owner* (its kind) that needs the name.

    *labels* are those with which it would be used.
    """
    name, word = found["metadata"]["name"], _NAMED.get(owner, owner)
    by = next(iter(found["metadata"].get("ownerReferences") or []), None)
    whose = f", but to {by.get('kind')} {by.get('name')}" if by else ""
    said = f"there is a {kind} {name} that does not belong to this {word}{whose}; it is left unchanged"
    said = f"{said}. Give the {word} another name, or delete that {kind} if it is unused"
    if by or labels is None:
        return said
    return f"{said}; to have it used, give it the labels {', '.join(f'{key}={labels[key]}' for key in labels)}"


def controller(obj: Object, kind: str) -> Object:
    """The reference to the *kind* that made *obj*, as Kubernetes itself writes it; empty where there is none."""
    owners = obj["metadata"].get("ownerReferences") or []
    return next((one for one in owners if one.get("controller") and one.get("kind") == kind), {})


def is_of_job(pod: Object, job: str) -> bool:
    """Whether *pod* is of a Job of that name, or of one that had it."""
    return bool(controller(pod, "Job").get("name") == job)
