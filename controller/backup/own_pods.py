"""The pods of a Backup's Jobs: of the one that backs up, and of the one that expires its set."""

from __future__ import annotations

from controller import owned
from controller.context import Caches
from pgwarden.api import names
from pgwarden.api.objects import Object

BACKUP, EXPIRE = "backup", "expire"
_JOBS = {BACKUP: names.backup_job, EXPIRE: names.expire_job}


def of(caches: Caches, backup: Object, component: str, job: Object | None = None) -> list[Object]:
    """Those of *component*, as the cache has them, by name: of *job*, or of a Job of its name that has gone.

    Labels are anybody's to give. A pod that names a Job which is not there is taken away by Kubernetes itself.
    """
    label = names.short(backup["metadata"]["name"], 63)
    found = caches.labelled(caches.own_pods, backup["metadata"]["namespace"], names.LABEL_BACKUP, label)
    own = [pod for pod in found if pod["metadata"]["labels"].get(names.LABEL_COMPONENT) == component]
    if job is not None:
        return [pod for pod in own if owned.is_owned(pod, job["metadata"]["uid"])]
    name = _JOBS[component](backup["metadata"]["name"])
    return [pod for pod in own if owned.is_of_job(pod, name)]
