"""Where a field of a Repository is written: a PostgresCluster's Repository has them in the cluster. Pure."""

from __future__ import annotations

from pgwarden.api.objects import Object
from pgwarden.api.reading import objects


def cluster_of(repository: Object) -> str:
    """The PostgresCluster that owns it; empty where none does."""
    owners = objects(repository, "metadata", "ownerReferences")
    return next((str(one.get("name")) for one in owners if one.get("kind") == "PostgresCluster"), "")


def where(repository: Object, field: str) -> str:
    """`spec.FIELD there`, in a sentence that has named the Repository."""
    cluster = cluster_of(repository)
    return f"spec.repository.{field} of PostgresCluster {cluster}" if cluster else f"spec.{field} there"
