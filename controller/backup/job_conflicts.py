"""A Backup's Job that cannot be created: its name is taken, or the API server refuses it. Pure."""

from __future__ import annotations

from controller import operations, owned, refusal
from pgwarden.api.objects import Object
from pgwarden.kube import errors


def is_strangers(job: Object, backup: Object, *, may_be_orphan: bool = True) -> bool:
    """Whether *job*, which has the name of *backup*'s, is somebody else's. None is waited for or stopped that is.

    *may_be_orphan*: one without an owner is that of a Backup that runs.
    """
    if job["metadata"].get("ownerReferences"):
        return not owned.is_owned(job, backup["metadata"]["uid"])
    return not may_be_orphan or operations.phase(backup) != "Running"


def in_the_way(job: Object, backup: Object, *, goes: bool = False) -> tuple[str, str]:
    """Reason and message of a Backup whose Job's name is taken by *job*: an earlier Backup's goes by itself.

    *goes*: the Backup is deleted, and its set is to be expired.
    """
    name, mine = job["metadata"]["name"], ("Backup", backup["metadata"]["name"])
    owners = job["metadata"].get("ownerReferences") or []
    if mine in {(one.get("kind"), one.get("name")) for one in owners}:
        return "JobGoing", f"waiting for Job {name} of an earlier Backup to be deleted"
    why = f"there is a Job {name} that does not belong to this Backup; delete it if it is unused"
    return "JobInTheWay", why if goes else f"{why}, or use another name"


def refused(error: errors.Invalid) -> str:
    """Message of one whose Job the API server does not take."""
    return refusal.told("Kubernetes refuses the Job", error)
