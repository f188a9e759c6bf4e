"""Removing what an object of ours had made and wants no longer."""

from __future__ import annotations

from controller import owned
from controller.context import Context
from pgwarden.api.objects import Object
from pgwarden.kube import paths


async def remove(context: Context, plural: str, made: Object) -> None:
    """Delete what is there in place of *made* and has its owner. Another's of that name stays."""
    metadata = made["metadata"]
    namespace, name, (owner,) = metadata["namespace"], metadata["name"], metadata["ownerReferences"]
    found = context.caches.of_repositories[plural].get(namespace, name)
    if found is not None and owned.is_owned(found, owner["uid"]):
        await context.client.delete(paths.of(plural, namespace, name), uid=found["metadata"]["uid"])
