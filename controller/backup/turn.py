"""What a Backup or a Restore looks at to see whether it is its turn, and how often."""

from __future__ import annotations

from datetime import datetime, timedelta

from controller import operations, owned
from controller.context import Caches
from controller.runtime.backoff import patience
from pgwarden.api import outside
from pgwarden.api.registry import OPERATIONS
from pgwarden.kube import errors, paths
from pgwarden.kube.client import KubeClient, Object

LONGEST_PAUSE = 30.0
LONGEST_REFUSAL = 1000  # characters


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
    return patience(waited, least, LONGEST_PAUSE)


def is_strangers(job: Object, backup: Object) -> bool:
    """Whether *job*, which has the name of *backup*'s, is somebody else's. None is waited for or stopped that is."""
    if job["metadata"].get("ownerReferences"):
        return not owned.is_owned(job, backup["metadata"]["uid"])
    return operations.phase(backup) != "Running"


def in_the_way(job: Object, backup: Object) -> tuple[str, str]:
    """Reason and message of a Backup whose Job's name is taken by *job*: an earlier Backup's goes by itself."""
    name, mine = job["metadata"]["name"], ("Backup", backup["metadata"]["name"])
    owners = job["metadata"].get("ownerReferences") or []
    if mine in {(one.get("kind"), one.get("name")) for one in owners}:
        return "JobGoing", f"waits until Job {name} of an earlier one is gone"
    why = f"there is a Job {name} that is not this Backup's; delete it if nobody needs it"
    return "JobInTheWay", f"{why}, or take another name"


def refusal(error: errors.Invalid) -> str:
    """Message of one whose Job the API server does not take, in Kubernetes' own words."""
    return f"Kubernetes refuses its Job: {outside.printable(error.message or str(error))}"[:LONGEST_REFUSAL]
