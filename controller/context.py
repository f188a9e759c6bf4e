"""What every controller is given: the client, the caches, the agents, the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from weakref import WeakValueDictionary

from controller import pods
from controller.agents import Agents
from controller.seal import Seal
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.registry import KINDS, Kind
from pgwarden.kube import index, paths
from pgwarden.kube.cache import WatchCache
from pgwarden.kube.client import KubeClient
from pgwarden.kube.events import Recorder

#: The index by spec.repository, of Backups, BackupSchedules and Restores.
REPOSITORY = "repository"


class Caches:
    """The watch caches. Pods are two: those that users labelled, and those that we run."""

    def __init__(self, client: KubeClient) -> None:
        ours = names.LABEL_OWNER_REPOSITORY
        by_backup = {names.LABEL_BACKUP: index.label(names.LABEL_BACKUP)}
        #: Of each of our kinds, by plural; those that others read have a name as well.
        self.ours = {kind.plural: WatchCache(client, paths.of(kind.plural), indexes=_indexes(kind)) for kind in KINDS}
        self.repositories, self.backups = self.ours["repositories"], self.ours["backups"]
        self.schedules, self.restores = self.ours["backupschedules"], self.ours["restores"]
        self.clusters = self.ours["postgresclusters"]
        self.instances = WatchCache(client, paths.of("deployments"), label_selector=names.LABEL_CLUSTER)
        self.patroni = WatchCache(client, paths.of("configmaps"), label_selector=names.LABEL_CLUSTER)
        self.postgres_pods = WatchCache(client, paths.of("pods"), label_selector=names.LABEL_REPOSITORY)
        self.own_pods = WatchCache(client, paths.of("pods"), label_selector=ours, indexes=by_backup)
        self.jobs = WatchCache(client, paths.of("jobs"), label_selector=ours)
        self.deployments = WatchCache(client, paths.of("deployments"), label_selector=ours)

    def all(self) -> Iterable[WatchCache]:
        own = (self.instances, self.patroni, self.postgres_pods, self.own_pods, self.jobs, self.deployments)
        return (*self.ours.values(), *own)

    def of_repository(self, cache: WatchCache, namespace: str, repository: str) -> list[Object]:
        """The Backups, BackupSchedules or Restores of one Repository."""
        return cache.by(REPOSITORY, (namespace, repository))

    def labelled(self, cache: WatchCache, namespace: str, label: str, value: str) -> list[Object]:
        """The objects in *namespace* whose *label* is *value*, by name."""
        if cache.has_index(label):
            found = cache.by(label, (namespace, value))
        else:
            there = cache.in_namespace(namespace)
            found = [one for one in there if (one["metadata"].get("labels") or {}).get(label) == value]
        return sorted(found, key=lambda o: str(o["metadata"]["name"]))

    def hosts(self, namespace: str, repository: str) -> list[Object]:
        """The pods that answer for the Repository's storages, in whatever state they are: of its host, then of the
        spare one.
        """
        own = self.labelled(self.own_pods, namespace, names.LABEL_OWNER_REPOSITORY, repository)
        return pods.hosts(own)


def _indexes(kind: Kind) -> dict[str, index.Value]:
    by_label = {label: index.label(label) for label in kind.indexed_labels}
    return by_label | ({REPOSITORY: index.repository} if kind.names_repository else {})


class CacheLookup:
    """What the rules may look up (api.judging.Lookup), answered from the caches."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches

    def repository(self, namespace: str, name: str) -> Object | None:
        return self._caches.repositories.get(namespace, name)

    def repositories(self) -> list[Object]:
        return list(self._caches.repositories.items.values())

    def backups(self, namespace: str, repository: str) -> list[Object]:
        return self._caches.of_repository(self._caches.backups, namespace, repository)

    def schedules(self, namespace: str, repository: str) -> list[Object]:
        return self._caches.of_repository(self._caches.schedules, namespace, repository)

    def restores(self, namespace: str, repository: str) -> list[Object]:
        return self._caches.of_repository(self._caches.restores, namespace, repository)


@dataclass
class Context:
    client: KubeClient
    caches: Caches
    agents: Agents
    recorder: Recorder
    settings: Settings
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    #: One lock per Repository (namespace, name): whoever starts an operation looks and starts under it. It is there as
    #: long as somebody holds it, or waits for it.
    locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = field(default_factory=WeakValueDictionary)
    #: Of plans on workloads; None until one is written or met.
    seal: Seal | None = None

    def lock(self, namespace: str, repository: str) -> asyncio.Lock:
        return self.locks.setdefault((namespace, repository), asyncio.Lock())
