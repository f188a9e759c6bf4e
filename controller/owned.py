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
    return is_owned(claim, cluster["metadata"]["uid"]) or is_adoptable(claim, labels)
