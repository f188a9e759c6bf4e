"""What is read to see whose turn it is on a stanza, and how often."""

from __future__ import annotations

from datetime import datetime, timedelta

from controller.context import Caches
from controller.runtime.backoff import next_look
from pgwarden.api.objects import Object
from pgwarden.api.registry import OPERATIONS
from pgwarden.kube import paths
from pgwarden.kube.client import KubeClient

LONGEST_PAUSE = 30.0


async def listed(client: KubeClient, namespace: str, repository: str) -> list[Object]:
    """All Backups and Restores of the Repository, read fresh: a cache may not show yet what has just been started.

    Picked out here: API servers before Kubernetes 1.31 know no field selector of a custom resource.
    """
    found: list[Object] = []
    for kind in OPERATIONS:
        there = client.items(paths.of(kind.plural, namespace))
        found += [
            {"kind": kind.name} | one async for one in there if (one.get("spec") or {}).get("repository") == repository
        ]
    return found


def known(caches: Caches, namespace: str, repository: str) -> list[Object]:
    """The same as the caches have them: enough to see that it is somebody else's turn."""
    found: list[Object] = []
    for kind in OPERATIONS:
        cache = caches.ours[kind.plural]
        found += [{"kind": kind.name} | one for one in caches.of_repository(cache, namespace, repository)]
    return found


def pause(now: datetime, since: str, least: float) -> float:
    """Seconds until the next look of one that waits *since* then (RFC 3339). What ends its wait wakes it as well."""
    waited = now - datetime.fromisoformat(since) if since else timedelta()
    return next_look(waited, least, LONGEST_PAUSE)
