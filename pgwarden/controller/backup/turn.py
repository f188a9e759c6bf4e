"""What a Backup or a Restore looks at to see whether it is its turn."""

from __future__ import annotations

from pgwarden.kube import paths
from pgwarden.kube.client import KubeClient, Object


async def listed(client: KubeClient, namespace: str, repository: str) -> list[Object]:
    """All Backups and Restores of the Repository, read fresh: a cache may not show yet what has just been started.

    Picked out here: API servers before Kubernetes 1.31 know no field selector of a custom resource.
    """
    found: list[Object] = []
    for plural, kind in (("backups", "Backup"), ("restores", "Restore")):
        there = await client.items(paths.of(plural, namespace))
        found += [{"kind": kind} | one for one in there if (one.get("spec") or {}).get("repository") == repository]
    return found
