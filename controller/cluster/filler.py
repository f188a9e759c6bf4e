"""What fills the first instance's volume, at the API server: looked at, begun, kept, noted as done, taken away."""

from __future__ import annotations

import dataclasses

import msgspec
import structlog

from controller import host_image, owned
from controller.cluster import beginning, clone, filling
from controller.cluster.beginning import Origin
from controller.cluster.clone_source import Sources
from controller.cluster.facts import ClusterFacts
from controller.cluster.gather import of_earlier, stranger
from controller.context import Context
from controller.recovery import job as recovery_job
from controller.recovery import look
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key

log = structlog.get_logger()


class Filler:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._sources = Sources(context)

    def forget(self, key: Key) -> None:
        """The cluster is gone."""
        self._sources.forget(*key)

    # --- what there is -----------------------------------------------------------------------------------------------

    async def look(self, facts: ClusterFacts) -> ClusterFacts:
        """*facts* with what the data of a cluster without a primary is chosen by, its first claim or else the
        Repositories, and with the recovery that fills that claim.
        """
        if facts.initialized and clone.said(facts.cluster) not in clone.AT_WORK:
            return facts
        claim = await self._find(facts, "persistentvolumeclaims", names.instance(facts.name, 1))
        if claim is not None and (of_earlier(claim, facts.cluster) or stranger(claim, facts.cluster)):
            claim = None  # what is in the way is told when the instance is made
        facts = dataclasses.replace(facts, claim=claim)
        if facts.initialized:
            return facts
        facts = await self._allowed(await self._recovery(facts))
        is_begun = claim is not None and (facts.filling is not None or beginning.is_filled(facts))
        return facts if facts.instances or is_begun else await self._repositories(facts)

    async def _recovery(self, facts: ClusterFacts) -> ClusterFacts:
        job = await self._find(facts, "jobs", names.clone_job(facts.name))
        if job is None:
            return facts
        earlier = of_earlier({"kind": "Job"} | job, facts.cluster)
        if earlier or not owned.is_owned(job, facts.cluster["metadata"]["uid"]):
            why = f"there is a Job {job['metadata']['name']} that is not this cluster's; delete it"
            return dataclasses.replace(facts, left=earlier or why)
        return dataclasses.replace(facts, filling=await look.seen(self._context, job, facts.name))

    async def _allowed(self, facts: ClusterFacts) -> ClusterFacts:
        """With why a clone that is under way ends. Its source's owner is told, too: the keys are theirs."""
        source = facts.spec.data_source
        over = facts.filling is None or beginning.is_filled(facts) or clone.said(facts.cluster) in clone.FAILURES
        if source is None or over or beginning.origin(facts) is Origin.OWN:
            return facts
        namespace = facts.cluster["metadata"]["namespace"]
        repository = self._context.caches.repositories.get(source.namespace or namespace, source.repository)
        why = clone.no_longer_allowed(source, namespace, repository) if repository is not None else ""
        if not why or repository is None:
            return facts
        await self._context.recorder.warning(
            repository, clone.ENDED, f"PostgresCluster {namespace}/{facts.name}, a clone under way, ends. {why}"
        )
        return dataclasses.replace(facts, no_longer_allowed=why)

    async def _repositories(self, facts: ClusterFacts) -> ClusterFacts:
        """Its own one and its source's, as they are now."""
        namespace, source = facts.cluster["metadata"]["namespace"], facts.spec.data_source
        if facts.claim is None or beginning.origin(facts) is Origin.OWN:
            recovers = msgspec.convert(facts.spec.repository, RepositorySpec).recovers
            own = await self._sources.read_own(namespace, facts.name, recovers=recovers)
            facts = dataclasses.replace(facts, own=own)
        if source is not None:
            facts = dataclasses.replace(facts, source=await self._sources.read(source, namespace))
        return facts

    # --- what is done ------------------------------------------------------------------------------------------------

    async def keep(self, facts: ClusterFacts) -> str:
        """Bring what the source is read by up to date. Why that cannot be, or nothing."""
        source = facts.spec.data_source
        if source is None or beginning.origin(facts) is Origin.OWN or beginning.is_filled(facts):
            return ""
        return await self._sources.give(facts.cluster, source)

    async def start(self, facts: ClusterFacts) -> None:
        own = beginning.origin(facts) is Origin.OWN
        order = filling.order(facts, self._context.settings, own=own)
        body = recovery_job.job(order, self._settings(facts, own=own))
        try:
            await self._context.client.create(paths.of("jobs", order.namespace), body)
        except errors.Conflict:
            log.info("the Job already exists", name=order.job)

    def _settings(self, facts: ClusterFacts, *, own: bool) -> Settings:
        """With the image of the host that is read from. Another namespace's is not run: see Sources.read."""
        namespace, source = facts.cluster["metadata"]["namespace"], facts.spec.data_source
        if own or source is None:
            return host_image.settings(self._context, (namespace, facts.name))
        if source.namespace not in {"", namespace}:
            return self._context.settings
        return host_image.settings(self._context, (namespace, source.repository))

    async def repeat(self, facts: ClusterFacts, job: Object) -> None:
        path = self._path(facts, "jobs", job["metadata"]["name"])
        await self._context.client.delete(path, uid=job["metadata"]["uid"])

    async def end_pod(self, facts: ClusterFacts, pod: Object) -> None:
        path = self._path(facts, "pods", pod["metadata"]["name"])
        await self._context.client.delete(path, uid=pod["metadata"]["uid"])

    async def note(self, facts: ClusterFacts, result: str) -> None:
        """On that very claim: another one of the name is not filled."""
        claim = facts.claim
        if claim is not None:
            told = {"uid": claim["metadata"]["uid"], "annotations": {names.ANNOTATION_FILLED: result}}
            path = self._path(facts, "persistentvolumeclaims", claim["metadata"]["name"])
            await self._context.client.merge(path, {"metadata": told})

    async def end(self, facts: ClusterFacts) -> None:
        """Take away the Job, and what the source was read by."""
        await self._sources.take_back(facts.cluster)
        job = await self._find(facts, "jobs", names.clone_job(facts.name))
        if job is not None and owned.is_owned(job, facts.cluster["metadata"]["uid"]):
            await self.repeat(facts, job)

    async def _find(self, facts: ClusterFacts, plural: str, name: str) -> Object | None:
        return await self._context.client.find(self._path(facts, plural, name))

    def _path(self, facts: ClusterFacts, plural: str, name: str) -> str:
        return paths.of(plural, facts.cluster["metadata"]["namespace"], name)
