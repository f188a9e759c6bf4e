"""What a Backup looks at to see whether it is its turn."""

from __future__ import annotations

from pgwarden.kube import paths
from pgwarden.kube.client import KubeClient, Object


async def listed(client: KubeClient, namespace: str, repository: str) -> list[Object]:
    """All Backups and Restores of the Repository, read fresh."""
    found: list[Object] = []
    for plural, kind in (("backups", "Backup"), ("restores", "Restore")):
        page = await client.get(paths.of(plural, namespace))
        found += [{"kind": kind} | o for o in page["items"] if o.get("spec", {}).get("repository") == repository]
    return found
