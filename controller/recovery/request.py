"""A Restore in place that pgwarden asks for by itself: spec.onExistingBackups is Recover. Pure."""

from __future__ import annotations

from typing import Any

from controller import pod_parts
from pgwarden.api import names
from pgwarden.api.objects import Object


def restore(owner: Object, name: str, what: str, **spec: Any) -> Object:
    """To the latest state. *owner* is a Repository, or the PostgresCluster of the same name; *what*, with its uid, is
    what is asked for: a new Restore, though an earlier owner of the name may have asked for the same.
    """
    metadata = owner["metadata"]
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Restore",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": {names.MANAGED_BY: "pgwarden", names.LABEL_OWNER_REPOSITORY: metadata["name"]},
            "annotations": {names.ANNOTATION_RUN_AGAIN: f"{metadata['uid']} {what}"},
            "ownerReferences": [pod_parts.owner(owner)],
        },
        "spec": {"repository": metadata["name"]} | spec,
    }
