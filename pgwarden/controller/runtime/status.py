"""Writing an object's status: only what differs, only when something does."""

from __future__ import annotations

from typing import Any

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


def operations(before: Object, patch: Object, where: str = "/status") -> list[Object]:
    """The merge *patch* of *before* as a JSON patch (RFC 6902), which can name the object that it is meant for."""
    found: list[Object] = []
    for key, value in patch.items():
        pointer = f"{where}/{key.replace('~', '~0').replace('/', '~1')}"
        old = before.get(key)
        if value is None:
            found.append({"op": "remove", "path": pointer})
        elif isinstance(value, dict) and isinstance(old, dict):
            found += operations(old, value, pointer)
        else:
            found.append({"op": "add", "path": pointer, "value": _stored(value)})
    return found


def _stored(value: Any) -> Any:
    """As a merge patch would leave it: what is None is not there."""
    if isinstance(value, dict):
        return {key: _stored(one) for key, one in value.items() if one is not None}
    return value


async def write(client: KubeClient, plural: str, obj: Object, after: Object) -> bool:
    """Bring the status of *obj* to *after*. False where it was so already.

    Raises Conflict when the object was replaced meanwhile, or is not as it was read. The uid in a merge patch would not
    do: of a custom resource's status the API server takes the status alone, and another object of the same name would
    be given what was found out about the one before.
    """
    metadata, before = obj["metadata"], obj.get("status") or {}
    patch = difference(before, after)
    if not patch:
        return False
    path = paths.of(plural, metadata["namespace"], metadata["name"], "status")
    if not before:
        await client.merge(path, {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": patch})
        return True
    same = {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]}
    await client.patch(path, [same, *operations(before, patch)])
    return True
