"""What Patroni keeps of a PostgresCluster in ConfigMaps of its own: whose they are, and what it is told by them."""

from __future__ import annotations

import structlog

from controller import patroni
from controller.cluster import render
from controller.cluster.facts import ClusterFacts
from controller.cluster.gather import is_anothers
from controller.context import Context
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.kube import errors, paths

log = structlog.get_logger()


class PatroniObjects:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def own(self, facts: ClusterFacts) -> None:
        """Patroni makes its ConfigMaps itself; they must go with the cluster. Those of an earlier one go now."""
        caches, cluster = self._context.caches, facts.cluster
        namespace = cluster["metadata"]["namespace"]
        for one in caches.labelled(caches.patroni, namespace, names.LABEL_CLUSTER, facts.name):
            path = paths.of("configmaps", namespace, one["metadata"]["name"])
            has_owner = bool(one["metadata"].get("ownerReferences"))
            if one["metadata"]["name"] not in render.patroni_maps(facts.name):
                continue  # whoever gave it the label: it is none that Patroni reads
            if is_anothers(one, cluster) or not (has_owner or await self._has_instance(facts)):
                await self._context.client.delete(path, uid=one["metadata"]["uid"])
            elif not has_owner:
                owner = render.metadata(cluster, "")["ownerReferences"]
                await self._context.client.merge(path, {"metadata": {"ownerReferences": owner}})

    async def _has_instance(self, facts: ClusterFacts) -> bool:
        """Before the first, what Patroni keeps was written by the last pods of an earlier cluster of the name."""
        first = paths.of("deployments", facts.cluster["metadata"]["namespace"], names.instance(facts.name, 1))
        return bool(facts.instances) or await self._context.client.find(first) is not None

    async def last_primary(self, facts: ClusterFacts) -> str:
        """While there is none, who was it: the status is remembered longer than a pod."""
        path = _path(facts, names.cluster_patroni(facts.name))
        found = await self._context.client.find(path)
        return str(((found or {}).get("data") or {}).get("primary", ""))

    async def configure(self, facts: ClusterFacts, config: Object) -> None:
        """Bring its dynamic configuration to *config*."""
        name = names.patroni_object(facts.name, patroni.CONFIG)
        await self._context.client.merge(_path(facts, name), patroni.config_patch(config))

    async def switch(self, facts: ClusterFacts, leader: str, candidate: str) -> None:
        asked = patroni.switchover(facts.name, leader, candidate)
        path = _path(facts, asked["metadata"]["name"])
        if await self._context.client.find(path) is None:
            asked["metadata"]["ownerReferences"] = render.metadata(facts.cluster, "")["ownerReferences"]
            await self._context.client.create(path.rpartition("/")[0], asked)
        else:
            await self._context.client.merge(path, patroni.switchover_patch(asked))

    async def rename(self, facts: ClusterFacts, leader: str, standbys: tuple[str, ...]) -> None:
        path = _path(facts, names.patroni_object(facts.name, patroni.SYNC))
        try:
            await self._context.client.merge(
                path, patroni.synchronous_patch(leader, standbys, facts.store.synchronous_version)
            )
        except errors.Conflict:
            log.info("Patroni has changed it meanwhile", name=facts.name)


def _path(facts: ClusterFacts, name: str) -> str:
    return paths.of("configmaps", facts.cluster["metadata"]["namespace"], name)
