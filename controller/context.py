"""What every controller is given: the client, the caches, the agents, the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from weakref import WeakValueDictionary

from controller import owned, pods
from controller import seal as seals
from controller.agents import Agents
from controller.replica_sets import ReplicaSets
from controller.seal import Seal
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import objects
from pgwarden.api.registry import KINDS, Kind
from pgwarden.kube import index, paths
from pgwarden.kube.cache import WatchCache
from pgwarden.kube.client import KubeClient
from pgwarden.kube.events import Recorder

#: The index by spec.repository, of Backups, BackupSchedules and Restores.
REPOSITORY = "repository"


class Caches:
    """The watch caches. Pods are two: those that users labelled, and those that we run."""

    def __init__(self, client: KubeClient, namespaces: Sequence[str] = ()) -> None:
        """Of *namespaces*; without any, of all."""

        def watched(plural: str, **options: Any) -> WatchCache:
            return WatchCache(client, paths.each(plural, namespaces), **options)

        ours = names.LABEL_OWNER_REPOSITORY
        by_repository = {ours: index.label(ours)}
        by_backup = by_repository | {names.LABEL_BACKUP: index.label(names.LABEL_BACKUP)}
        of_users = {names.LABEL_REPOSITORY: index.label(names.LABEL_REPOSITORY)}
        #: Of each of our kinds, by plural; those that others read have a name as well.
        self.ours = {
            kind.plural: watched(kind.plural, indexes=_indexes(kind), packed=kind.plural != "postgresclusters")
            for kind in KINDS
        }
        self.repositories, self.backups = self.ours["repositories"], self.ours["backups"]
        self.schedules, self.restores = self.ours["backupschedules"], self.ours["restores"]
        self.clusters = self.ours["postgresclusters"]
        self.instances = watched("deployments", label_selector=names.LABEL_CLUSTER)
        self.patroni = watched("configmaps", label_selector=names.LABEL_CLUSTER)
        self.postgres_pods = watched("pods", label_selector=names.LABEL_REPOSITORY, indexes=of_users, packed=True)
        self.own_pods = watched("pods", label_selector=ours, indexes=by_backup, packed=True)
        self.jobs = watched("jobs", label_selector=ours, indexes=by_repository)
        self.deployments = watched(
            "deployments", label_selector=ours, transform=_host, indexes=by_repository, packed=True
        )
        self.claims = watched("persistentvolumeclaims", label_selector=ours, indexes=by_repository)
        #: What a Repository consists of, by plural: whether it is there, and whose.
        self.of_repositories = {
            plural: watched(plural, label_selector=ours, transform=_metadata, indexes=by_repository, packed=True)
            for plural in ("configmaps", "services", "networkpolicies")
        } | {"deployments": self.deployments}
        #: What each namespace asks of containers (pod_terms.py), without how much of it is used.
        self.quotas = watched("resourcequotas", transform=_asking)
        self.limit_ranges = watched("limitranges", transform=_asking)

    def all(self) -> Iterable[WatchCache]:
        own = (self.instances, self.patroni, self.postgres_pods, self.own_pods, self.jobs, self.claims)
        return (*self.ours.values(), *own, *self.of_repositories.values(), self.quotas, self.limit_ranges)

    def of_repository(self, cache: WatchCache, namespace: str, repository: str) -> list[Object]:
        """The Backups, BackupSchedules or Restores of one Repository."""
        return cache.by(REPOSITORY, (namespace, repository))

    def owned_by(self, cache: WatchCache, namespace: str, repository: str) -> list[Object]:
        """Those that have our label of one Repository, by name. Labels are anybody's to give."""
        return self.labelled(cache, namespace, names.LABEL_OWNER_REPOSITORY, repository)

    def labelled(self, cache: WatchCache, namespace: str, label: str, value: str) -> list[Object]:
        """The objects in *namespace* whose *label* is *value*, by name."""
        if cache.has_index(label):
            found = cache.by(label, (namespace, value))
        else:
            there = cache.in_namespace(namespace)
            found = [one for one in there if (one["metadata"].get("labels") or {}).get(label) == value]
        return sorted(found, key=lambda o: str(o["metadata"]["name"]))

    def host_deployments(self, namespace: str, repository: str) -> dict[str, Object]:
        """Of the Repository's own: what runs the host, and the spare one, by component."""
        found = self.repositories.get(namespace, repository)
        if found is None:
            return {}
        called = {names.COMPONENT_HOST: names.host(repository), names.COMPONENT_SPARE: names.spare_host(repository)}
        there = {component: self.deployments.get(namespace, name) for component, name in called.items()}
        uid = found["metadata"]["uid"]
        return {component: one for component, one in there.items() if one is not None and owned.is_owned(one, uid)}


def _metadata(obj: Object) -> Object:
    """Without what it holds."""
    kept = {key: value for key, value in obj["metadata"].items() if key not in {"managedFields", "annotations"}}
    return {"metadata": kept}


def _host(obj: Object) -> Object:
    """Of the Deployment of a repository host no more of its spec than which image each container runs."""
    obj["metadata"].pop("managedFields", None)
    containers = objects(obj, "spec", "template", "spec", "containers")
    images = [{key: one.get(key) for key in ("name", "image")} for one in containers]
    spec = {"template": {"spec": {"containers": images}}}
    return {"metadata": obj["metadata"], "spec": spec, "status": obj.get("status") or {}}


def _asking(obj: Object) -> Object:
    """A quota's status changes with each pod, and nothing here reads it."""
    kept = ("namespace", "name", "uid", "resourceVersion")
    metadata = {key: obj["metadata"][key] for key in kept if key in obj["metadata"]}
    return {"metadata": metadata, "spec": obj.get("spec")}


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
        return self._caches.repositories.outlines()

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
    #: Of what Restores write where others may write too; None until that is written or met.
    seal: Seal | None = None
    replica_sets: ReplicaSets = field(init=False)

    def __post_init__(self) -> None:
        self.replica_sets = ReplicaSets(self.client)

    async def hosts(self, namespace: str, repository: str, listed: Iterable[Object] | None = None) -> list[Object]:
        """The pods that answer for the Repository's storages, in whatever state they are: of its host, then of the
        spare one. Of those *listed*, else of those in the cache; a pod that has no more than their labels is none.
        """
        if listed is None:
            caches = self.caches
            listed = caches.owned_by(caches.own_pods, namespace, repository)
        labelled, found = [*listed], list[Object]()
        for component, deployment in self.caches.host_deployments(namespace, repository).items():
            its = [pod for pod in labelled if pods.component(pod) == component]
            found += await self.replica_sets.pods_of(deployment, its)
        return found

    async def sealing(self) -> Seal:
        """The seal, whose key is made where there is none. Raises NotYet where it cannot be had."""
        if self.seal is None:
            self.seal = await seals.load(self.client, self.settings.namespace, names.plan_seals(self.settings.lease))
        return self.seal

    def lock(self, namespace: str, repository: str) -> asyncio.Lock:
        return self.locks.setdefault((namespace, repository), asyncio.Lock())
