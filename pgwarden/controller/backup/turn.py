"""What a Backup looks at to see whether it is its turn."""

from __future__ import annotations

from pgwarden.controller.context import Caches
from pgwarden.kube import paths
from pgwarden.kube.client import KubeClient, Object


async def listed(client: KubeClient, namespace: str, repository: str) -> list[Object]:
    """All Backups and Restores of the Repository, read fresh."""
    found: list[Object] = []
    for plural, kind in (("backups", "Backup"), ("restores", "Restore")):
        page = await client.get(paths.of(plural, namespace))
        found += [{"kind": kind} | o for o in page["items"] if o.get("spec", {}).get("repository") == repository]
    return found


def cached(caches: Caches, namespace: str, repository: str) -> list[Object]:
    """The same by the watch caches, which may be a moment behind: good for waiting, not for beginning."""
    return [
        *caches.of_repository(caches.backups, namespace, repository),
        *caches.of_repository(caches.restores, namespace, repository),
    ]
