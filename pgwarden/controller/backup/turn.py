"""What a Backup looks at to see whether it is its turn."""

from __future__ import annotations

from pgwarden.controller import operations, owned
from pgwarden.kube import paths
from pgwarden.kube.client import KubeClient, Object


async def listed(client: KubeClient, namespace: str, repository: str) -> list[Object]:
    """All Backups and Restores of the Repository, read fresh."""
    found: list[Object] = []
    for plural, kind in (("backups", "Backup"), ("restores", "Restore")):
        page = await client.get(paths.of(plural, namespace))
        found += [{"kind": kind} | o for o in page["items"] if o.get("spec", {}).get("repository") == repository]
    return found


def is_strangers(job: Object, backup: Object) -> bool:
    """Whether *job*, which has the name of *backup*'s, is somebody else's. None is waited for or stopped that is."""
    if job["metadata"].get("ownerReferences"):
        return not owned.is_owned(job, backup["metadata"]["uid"])
    return operations.phase(backup) != "Running"
