"""Writing an object's status: only what differs, only when something does."""

from __future__ import annotations

from typing import Any

from controller.runtime import outcomes
from pgwarden.api.json_pointer import pointer
from pgwarden.api.objects import Object
from pgwarden.kube import paths
from pgwarden.kube.client import KubeClient


def operations(before: Object, after: Object) -> list[Object]:
    """The JSON patch (RFC 6902) that turns *before* into *after*: lists whole, what is None as what is not there."""
    return _operations(before, _stored(after), "/status")


def _operations(before: Object, after: Object, where: str) -> list[Object]:
    found: list[Object] = [{"op": "remove", "path": pointer(where, key)} for key in before if key not in after]
    for key, value in after.items():
        old = before.get(key)
        if old == value:
            continue
        if isinstance(old, dict) and isinstance(value, dict):
            found += _operations(old, value, pointer(where, key))
        else:
            found.append({"op": "add", "path": pointer(where, key), "value": value})
    return found


def _stored(value: Any) -> Any:
    """As the API server keeps it: without what is None, in the objects of lists too. A status that holds such a thing
    would else never be what is there, and be written at each look.
    """
    if isinstance(value, dict):
        return {key: _stored(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_stored(one) for one in value]
    return value


async def write(client: KubeClient, plural: str, obj: Object, after: Object) -> bool:
    """Bring the status of *obj* to *after*. False where it was so already.

    Raises Conflict when the object was replaced meanwhile, or is not as it was read. The uid in a merge patch would not
    do: of a custom resource's status the API server takes the status alone, and another object of the same name would
    be given what was found out about the one before.
    """
    metadata, before = obj["metadata"], obj.get("status") or {}
    changes = operations(before, after)
    if not changes:
        return False
    path = paths.of(plural, metadata["namespace"], metadata["name"], "status")
    if not before:
        await client.merge(path, {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": after})
        outcomes.tell(plural, obj, after)
        return True
    same = {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]}
    await client.patch(path, [same, *changes])
    outcomes.tell(plural, obj, after)
    return True
