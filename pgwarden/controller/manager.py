"""Who is told of what: changes in the caches become keys in the queues of the controllers."""

from __future__ import annotations

import asyncio

import aiohttp
import structlog

from pgwarden.api import names
from pgwarden.controller import operations
from pgwarden.controller.backup.reconcile import BackupController
from pgwarden.controller.cluster.reconcile import ClusterController
from pgwarden.controller.context import Context
from pgwarden.controller.repository.reconcile import RepositoryController
from pgwarden.controller.repository.secret_watch import SecretWatch
from pgwarden.controller.restore.reconcile import RestoreController
from pgwarden.controller.runtime.worker import NotYet, Worker
from pgwarden.controller.schedule.reconcile import ScheduleController
from pgwarden.kube import errors
from pgwarden.kube.cache import Listener, WatchCache, key_of
from pgwarden.kube.client import Object

log = structlog.get_logger()
#: Workers for BackupSchedules: many are due at the same second, and each run takes a few round trips.
SCHEDULERS = 16
#: Seconds until it is looked again for what deleted Restores have left, where that could not be seen.
ORPHANS_AGAIN = 10.0


class Manager:
    """The controllers and their workers. `run()` starts with every object there is."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.repositories = Worker("Repository", RepositoryController(context).reconcile)
        self.backups = Worker("Backup", BackupController(context).reconcile)
        self.schedules = Worker("BackupSchedule", ScheduleController(context).reconcile, count=SCHEDULERS)
        self._restorer = RestoreController(context)
        self.restores = Worker("Restore", self._restorer.reconcile)
        self.clusters = Worker("PostgresCluster", ClusterController(context).reconcile)
        caches = context.caches
        self._own = (
            (caches.repositories, self.repositories),
            (caches.backups, self.backups),
            (caches.schedules, self.schedules),
            (caches.restores, self.restores),
            (caches.clusters, self.clusters),
        )

    async def run(self) -> None:
        caches = self._context.caches
        for cache, worker in self._own:
            cache.listen(_enqueue(worker, own_status=worker is not self.schedules))
        caches.repositories.listen(self._repository_changed)
        caches.backups.listen(self._operation_changed)
        caches.restores.listen(self._operation_changed)
        caches.postgres_pods.listen(self._postgres_pod_changed)
        for cache in (caches.own_pods, caches.jobs, caches.deployments):
            cache.listen(self._ours_changed)
        for cache in (caches.instances, caches.patroni, caches.postgres_pods):
            cache.listen(self._of_cluster_changed)
        for cache in (caches.repositories, caches.backups, caches.restores):
            cache.listen(self._of_cluster_changed)
        for cache, worker in self._own:
            for key in list(cache.items):
                worker.queue.add(key)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._add_orphans())
            watch = SecretWatch(self._context.client, caches.repositories, self.repositories.queue.add)
            group.create_task(watch.run())
            for _, worker in self._own:
                group.create_task(worker.run())

    async def _add_orphans(self) -> None:
        """What Restores have left that were deleted while no controller ran: looked for until it can be seen."""
        while True:
            try:
                for key in await self._restorer.orphans():
                    self.restores.queue.add(key)
            except (errors.ApiError, NotYet, aiohttp.ClientError, TimeoutError, OSError) as error:
                log.warning("cannot look for what deleted Restores have left, trying again", error=str(error))
            except Exception:
                # A fault of ours in one object must not stop the protection of all others.
                log.exception("looking for what deleted Restores have left broke, trying again")
            else:
                return
            await asyncio.sleep(ORPHANS_AGAIN)

    def _repository_changed(self, _kind: str, obj: Object, _before: Object | None) -> None:
        self._wake_operations(*key_of(obj))

    def _operation_changed(self, kind: str, obj: Object, before: Object | None) -> None:
        """When one ends or goes, those that wait for it may begin, and the Repository has news."""
        ended = operations.is_over(obj) and not (before and operations.is_over(before))
        if ended or kind == "DELETED":
            namespace, repository = obj["metadata"]["namespace"], obj.get("spec", {}).get("repository", "")
            self.repositories.queue.add((namespace, repository))
            self._wake_operations(namespace, repository)
            schedule = obj["metadata"].get("labels", {}).get(names.LABEL_SCHEDULE)
            if schedule:
                self.schedules.queue.add((namespace, schedule))

    def _postgres_pod_changed(self, _kind: str, pod: Object, _before: Object | None) -> None:
        namespace = pod["metadata"]["namespace"]
        repository = pod["metadata"]["labels"][names.LABEL_REPOSITORY]
        self.repositories.queue.add((namespace, repository))
        self._wake(self._context.caches.restores, self.restores, namespace, repository)

    def _ours_changed(self, _kind: str, obj: Object, _before: Object | None) -> None:
        metadata = obj["metadata"]
        namespace, labels = metadata["namespace"], metadata["labels"]
        repository = labels[names.LABEL_OWNER_REPOSITORY]
        if names.LABEL_BACKUP in labels:
            self._wake(self._context.caches.backups, self.backups, namespace, repository)
        elif names.LABEL_RESTORE in labels:
            self._wake(self._context.caches.restores, self.restores, namespace, repository)
        else:
            self.repositories.queue.add((namespace, repository))

    def _of_cluster_changed(self, _kind: str, obj: Object, _before: Object | None) -> None:
        """What belongs to a PostgresCluster says so, but for the Backups that users make of its Repository."""
        namespace, labels = obj["metadata"]["namespace"], obj["metadata"].get("labels", {})
        name = labels.get(names.LABEL_CLUSTER) or obj.get("spec", {}).get("repository", "")
        if isinstance(name, str) and self._context.caches.clusters.get(namespace, name) is not None:
            self.clusters.queue.add((namespace, name))

    def _wake_operations(self, namespace: str, repository: str) -> None:
        self._wake(self._context.caches.backups, self.backups, namespace, repository)
        self._wake(self._context.caches.restores, self.restores, namespace, repository)

    def _wake(self, cache: WatchCache, worker: Worker, namespace: str, repository: str) -> None:
        for obj in self._context.caches.of_repository(cache, namespace, repository):
            if not operations.is_over(obj):
                worker.queue.add(key_of(obj))


def _enqueue(worker: Worker, *, own_status: bool) -> Listener:
    """*own_status* False: a change of nothing but the status is no news, as only we write it."""

    def changed(kind: str, obj: Object, before: Object | None) -> None:
        if own_status or kind != "MODIFIED" or before is None or _is_news(obj, before):
            worker.queue.add(key_of(obj))

    return changed


def _is_news(obj: Object, before: Object) -> bool:
    after, old = obj["metadata"], before["metadata"]
    return any(after.get(field) != old.get(field) for field in ("generation", "uid", "deletionTimestamp"))
