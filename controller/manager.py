"""Who is told of what: changes in the caches become keys in the queues of the controllers."""

from __future__ import annotations

import asyncio
from typing import Protocol

from controller import admission, operations
from controller.backup.reconcile import BackupController
from controller.cluster.reconcile import ClusterController
from controller.context import Context
from controller.drill.reconcile import DrillController
from controller.recovery import plan as plans
from controller.repository import metrics, secret_watch
from controller.repository.reconcile import RepositoryController
from controller.repository.secret_watch import SecretWatch
from controller.restore.reconcile import RestoreController
from controller.runtime import outcomes, steady
from controller.runtime.worker import Worker
from controller.schedule.made import DRILLS
from controller.schedule.reconcile import ScheduleController
from pgwarden.api import names, registry
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, is_going, objects
from pgwarden.contract import last_drills
from pgwarden.kube.cache import Key, Listener, key_of

#: Objects of each kind that are worked on at once.
WORKERS = 64
#: A look at a Repository may wait for its storage for most of the time until the next one: a service that all share,
#: and that hangs, must hold up no new Repository.
MORE_WORKERS = {"Repository": 2000}


class Controller(Protocol):
    """What a kind's folder gives to the manager."""

    async def reconcile(self, key: Key) -> float | None: ...


class Manager:
    """The controllers and their workers. `run()` starts with every object there is."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._restorer = RestoreController(context)
        self._keeper = RepositoryController(context)
        controllers: dict[str, Controller] = {
            "Repository": self._keeper,
            "Backup": BackupController(context),
            "BackupSchedule": ScheduleController(context),
            "Restore": self._restorer,
            "RestoreDrill": DrillController(context),
            "RestoreDrillSchedule": ScheduleController(context, DRILLS),
            "PostgresCluster": ClusterController(context),
        }
        registry.attached("controllers", controllers)
        #: By plural.
        self.workers = {
            kind.plural: Worker(kind.name, controllers[kind.name].reconcile, MORE_WORKERS.get(kind.name, WORKERS))
            for kind in registry.KINDS
        }
        self.repositories, self.schedules = self.workers["repositories"], self.workers["backupschedules"]
        self.backups, self.restores = self.workers["backups"], self.workers["restores"]
        self.clusters = self.workers["postgresclusters"]
        self._all_schedules = [self.workers[kind.plural] for kind in registry.KINDS if kind.is_schedule]
        self._own = [(context.caches.ours[plural], worker) for plural, worker in self.workers.items()]

    async def run(self) -> None:
        caches = self._context.caches
        for cache, worker in self._own:
            # A Repository's status has the newest WAL segment in it: it would be looked at as often as there is one.
            cache.listen(_enqueue(worker, own_status=worker not in {*self._all_schedules, self.repositories}))
        caches.repositories.listen(self._repository_changed)
        for kind in registry.OPERATIONS:
            caches.ours[kind.plural].listen(self._operation_changed)
        caches.ours["restoredrills"].listen(self._drill_changed)
        caches.postgres_pods.listen(self._postgres_pod_changed)
        for cache in (caches.own_pods, caches.jobs, caches.claims, *caches.of_repositories.values()):
            cache.listen(self._ours_changed)
        for cache in (caches.instances, caches.patroni, caches.postgres_pods):
            cache.listen(self._of_cluster_changed)
        for cache in (caches.repositories, caches.backups, caches.restores):
            cache.listen(self._of_cluster_changed)
        caches.instances.listen(self._instance_changed)
        for cache in (caches.quotas, caches.limit_ranges):
            cache.listen(self._namespace_changed)
        for cache, worker in self._own:
            for key in list(cache.items):
                worker.queue.add(key)
        watches = {
            f"the Secrets {whose}": SecretWatch(
                self._context.client, caches.repositories, self._secret_changed, self._keeper.keys.used, listed, rate
            ).run
            for whose, listed, rate in (
                ("of users", secret_watch.named, secret_watch.RATE),
                ("of Repositories", secret_watch.own, secret_watch.OWN_RATE),
            )
        }
        tasks = {"Restores that have gone": self._adopt, "metrics": metrics.keep_fresh} | watches
        tasks |= {f"the workers of {worker.kind}": worker.run for _, worker in self._own}
        with outcomes.of_those(self._has_repository):
            async with asyncio.TaskGroup() as group:
                for what, work in tasks.items():
                    group.create_task(steady.run(what, work))

    def _has_repository(self, key: Key) -> bool:
        found = self._context.caches.repositories.get(*key)
        return found is not None and not is_going(found)

    async def _adopt(self) -> None:
        """Beside the work: what others have written on their workloads must not hold it up."""
        for key in await self._restorer.orphans():
            self.restores.queue.add(key)

    def _secret_changed(self, key: Key) -> None:
        self._keeper.keys.forget(key)
        self.repositories.queue.add(key)

    def _repository_changed(self, kind: str, obj: Object, before: Object | None) -> None:
        self._wake_operations(*key_of(obj))
        if kind != "MODIFIED" or before is None or _is_news(obj, before):
            self._wake_waiting(*key_of(obj))
        elif objects(obj, "status", last_drills.FIELD) != objects(before, "status", last_drills.FIELD):
            self.repositories.queue.add(key_of(obj))  # a drill has ended: what it proves is still to be said

    def _wake_waiting(self, namespace: str, name: str) -> None:
        """Whoever may have waited for this Repository to come, to go, or to have another spec."""
        caches = self._context.caches
        for kind in (kind for kind in registry.KINDS if kind.is_schedule):
            for schedule in caches.of_repository(caches.ours[kind.plural], namespace, name):
                self.workers[kind.plural].queue.add(key_of(schedule))
        for cluster in caches.clusters.items.values():
            source = get(cluster, dict, "spec", "dataSource") or {}
            home = cluster["metadata"]["namespace"]
            if source.get("repository") == name and (source.get("namespace") or home) == namespace:
                self.clusters.queue.add(key_of(cluster))
        for other in caches.repositories.items.values():
            if admission.waits(other):
                self.repositories.queue.add(key_of(other))

    def _operation_changed(self, kind: str, obj: Object, before: Object | None) -> None:
        """When one ends or goes, those that wait for it may begin, and the Repository has news."""
        if _ends(kind, obj, before):
            namespace, repository = obj["metadata"]["namespace"], obj.get("spec", {}).get("repository", "")
            self.repositories.queue.add((namespace, repository))
            self._wake_operations(namespace, repository)
            schedule = obj["metadata"].get("labels", {}).get(names.LABEL_SCHEDULE)
            if schedule:
                self.schedules.queue.add((namespace, schedule))

    def _drill_changed(self, kind: str, obj: Object, before: Object | None) -> None:
        schedule = obj["metadata"].get("labels", {}).get(names.LABEL_SCHEDULE)
        if schedule and _ends(kind, obj, before):
            self.workers["restoredrillschedules"].queue.add((obj["metadata"]["namespace"], schedule))

    def _postgres_pod_changed(self, kind: str, pod: Object, before: Object | None) -> None:
        if kind == "MODIFIED" and before is not None and not _is_pod_news(pod, before):
            return
        namespace = pod["metadata"]["namespace"]
        repository = pod["metadata"]["labels"][names.LABEL_REPOSITORY]
        self.repositories.queue.add((namespace, repository))
        self._wake(registry.BY_NAME["Restore"], namespace, repository)

    def _ours_changed(self, _kind: str, obj: Object, _before: Object | None) -> None:
        metadata = obj["metadata"]
        namespace, labels = metadata["namespace"], metadata["labels"]
        repository = labels[names.LABEL_OWNER_REPOSITORY]
        made_for = next((kind for kind in registry.KINDS if kind.label and kind.label in labels), None)
        if made_for is None:
            self.repositories.queue.add((namespace, repository))
        else:
            self._wake(made_for, namespace, repository)

    def _of_cluster_changed(self, _kind: str, obj: Object, _before: Object | None) -> None:
        """What belongs to a PostgresCluster says so, but for the Backups that users make of its Repository."""
        namespace, labels = obj["metadata"]["namespace"], obj["metadata"].get("labels", {})
        name = labels.get(names.LABEL_CLUSTER) or obj.get("spec", {}).get("repository", "")
        if isinstance(name, str) and self._context.caches.clusters.get(namespace, name) is not None:
            self.clusters.queue.add((namespace, name))

    def _instance_changed(self, _kind: str, obj: Object, before: Object | None) -> None:
        """A mark may come back when its Restore is gone (`kubectl rollout undo`); the cluster waits until it is off."""
        text, namespace = plans.text_of(obj), obj["metadata"]["namespace"]
        plan = plans.load(text) if text and not (before and plans.text_of(before) == text) else None
        if plan is not None and self._context.caches.restores.get(namespace, plan.restore) is None:
            self.restores.queue.add((namespace, plan.restore))

    def _namespace_changed(self, kind: str, obj: Object, before: Object | None) -> None:
        """It asks something else of containers: what is made from now on is made like that."""
        if kind == "MODIFIED" and before is not None and obj.get("spec") == before.get("spec"):
            return
        namespace = obj["metadata"].get("namespace", "")
        caches = self._context.caches
        for cache, queue in ((caches.repositories, self.repositories.queue), (caches.clusters, self.clusters.queue)):
            for one in cache.in_namespace(namespace):
                queue.add(key_of(one))

    def _wake_operations(self, namespace: str, repository: str) -> None:
        for kind in registry.OPERATIONS:
            self._wake(kind, namespace, repository)

    def _wake(self, kind: registry.Kind, namespace: str, repository: str) -> None:
        caches, queue = self._context.caches, self.workers[kind.plural].queue
        for obj in caches.of_repository(caches.ours[kind.plural], namespace, repository):
            if not operations.is_over(obj) or operations.is_expiring(obj):
                queue.add(key_of(obj))


def _ends(kind: str, obj: Object, before: Object | None) -> bool:
    """Whether an operation is over with this change of it, or gone."""
    ended = operations.is_over(obj) and not (before and operations.is_over(before))
    return ended or kind == "DELETED"


def _enqueue(worker: Worker, *, own_status: bool) -> Listener:
    """*own_status* False: a change of nothing but the status is no news, as only we write it."""

    def changed(kind: str, obj: Object, before: Object | None) -> None:
        if own_status or kind != "MODIFIED" or before is None or _is_news(obj, before):
            worker.queue.add(key_of(obj))

    return changed


def _is_news(obj: Object, before: Object) -> bool:
    after, old = obj["metadata"], before["metadata"]
    return any(after.get(field) != old.get(field) for field in ("generation", "uid", "deletionTimestamp"))


def _is_pod_news(pod: Object, before: Object) -> bool:
    """Not what Patroni notes on each pod every ten seconds, nor our own touching it for a new configuration."""
    after, old = pod["metadata"], before["metadata"]
    facts = names.ANNOTATION_POSTGRES
    return (
        pod.get("status") != before.get("status")
        or any(after.get(field) != old.get(field) for field in ("uid", "labels", "deletionTimestamp"))
        or (after.get("annotations") or {}).get(facts) != (old.get("annotations") or {}).get(facts)
    )
