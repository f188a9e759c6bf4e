"""Writing an object's status: only what differs, only when something does."""

from __future__ import annotations

from pgwarden.kube import paths
from pgwarden.kube.client import KubeClient, Object


def difference(before: Object, after: Object) -> Object:
    """The merge patch that turns status *before* into *after*: lists whole, what is gone as None."""
    patch: Object = {key: None for key in before if key not in after or after[key] is None}
    for key, value in after.items():
        old = before.get(key)
        if value is None or old == value:
            continue
        if not (isinstance(old, dict) and isinstance(value, dict)):
            patch[key] = value
        elif nested := difference(old, value):  # none where they differ by what is None alone: it is not stored
            patch[key] = nested
    return patch


async def write(client: KubeClient, plural: str, obj: Object, after: Object) -> bool:
    """Bring the status of *obj* to *after*. False where it was so already.

    Raises Conflict when the object was replaced meanwhile: the patch carries the uid.
    """
    metadata = obj["metadata"]
    patch = difference(obj.get("status") or {}, after)
    if not patch:
        return False
    body = {"metadata": {"uid": metadata["uid"]}, "status": patch}
    await client.merge(paths.of(plural, metadata["namespace"], metadata["name"], "status"), body)
    return True
