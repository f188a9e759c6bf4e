"""A finalizer of ours on an object: whether it is there, and the change that puts it on or takes it off. Pure."""

from __future__ import annotations

from pgwarden.api.objects import Object


def has(obj: Object, finalizer: str) -> bool:
    return finalizer in obj["metadata"].get("finalizers", [])


def change(obj: Object, finalizer: str, *, there: bool) -> Object:
    """A merge patch. It is refused where *obj* has changed since: a list is replaced whole, and nobody else's may be
    lost.
    """
    metadata = obj["metadata"]
    others = [one for one in metadata.get("finalizers", []) if one != finalizer]
    finalizers = [*others, *([finalizer] if there else [])]
    version = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    return {"metadata": version | {"finalizers": finalizers}}
