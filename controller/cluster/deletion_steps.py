"""Carrying out what a PostgresCluster's deletion needs: the finalizer, the agent's call, the instances' stop.

The finalizer never holds a namespace up: in one that is being deleted it comes off at once.
"""

from __future__ import annotations

import structlog

from controller import finalizers
from controller.agents import AgentError
from controller.cluster import deletion
from controller.cluster.deletion import Archive, Leaving, Release, Step, Stop
from controller.cluster.facts import ClusterFacts, Instance
from controller.cluster.gather import gather
from controller.context import Context
from controller.runtime import status
from pgwarden.api import names, outside
from pgwarden.api.objects import Object
from pgwarden.contract import calls
from pgwarden.contract.calls import Fenced
from pgwarden.kube import errors, paths

log = structlog.get_logger()
POLL = 1.0  # seconds between looks; pods tell of their end by the watch
FENCE_SECONDS = 20


class Deletion:
    def __init__(self, context: Context) -> None:
        self._context = context
        #: uid of a cluster → what its primary's agent answered last.
        self._answers: dict[str, Fenced] = {}

    async def put_finalizer(self, cluster: Object) -> bool:
        """True where that was to be done: the change comes back as one more look."""
        if deletion.has_finalizer(cluster):
            return False
        await self._set_finalizer(cluster, there=True)
        return True

    async def look(self, cluster: Object) -> float | None:
        """What is next for one that is being deleted. Seconds until the next look; None once it may go."""
        if not deletion.has_finalizer(cluster):
            return None
        metadata = cluster["metadata"]
        if await self._namespace_goes(metadata["namespace"]):
            await self._release(cluster, Release())
            return None
        try:
            facts = await gather(self._context, cluster)
            step = deletion.decide(Leaving(facts, self._answers.get(metadata["uid"])))
        except outside.UNREADABLE as error:  # nothing holds it for ever
            step = deletion.lost(f"its spec cannot be read: {error}")
        if isinstance(step, Release):
            await self._release(cluster, step)
            return None
        await self._tell(cluster, step)
        match step:
            case Archive(instance, _):
                self._answers[metadata["uid"]] = await self._archive(facts, instance)
                return 0.0 if deletion.is_archived(self._answers[metadata["uid"]]) else POLL
            case Stop(instances, _):
                for one in instances:
                    await self._stop(metadata["namespace"], one)
        return POLL

    async def _namespace_goes(self, namespace: str) -> bool:
        """A namespace that is being deleted takes nothing new: that is asked by what is not made."""
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "pgwarden-"}}
        path = paths.of("configmaps", namespace)
        try:
            await self._context.client.request("POST", path, body=body, params={"dryRun": "All"})
        except errors.Terminating:
            return True
        except errors.Invalid:  # a quota, or somebody's admission rule
            return False
        return False

    async def _archive(self, facts: ClusterFacts, one: Instance) -> Fenced:
        key = facts.cluster["metadata"]["namespace"], facts.name
        address = str((one.pod or {}).get("status", {}).get("podIP") or "")
        try:
            call = calls.fence(FENCE_SECONDS)
            return await self._context.agents.pod(key, address, call, seconds=FENCE_SECONDS + 15)
        except AgentError as problem:
            return Fenced(error=str(problem), unreached=True)

    async def _stop(self, namespace: str, one: Instance) -> None:
        change = {"metadata": {"uid": one.deployment["metadata"]["uid"]}, "spec": {"replicas": 0}}
        await self._context.client.merge(paths.of("deployments", namespace, one.name), change)

    async def _tell(self, cluster: Object, step: Step) -> None:
        after = deletion.status(cluster, step.message, self._context.clock())
        try:
            news = await status.write(self._context.client, "postgresclusters", cluster, after)
        except errors.Invalid as refused:  # by a CRD of an earlier version
            log.warning("the status is refused", name=cluster["metadata"]["name"], error=str(refused))
            news = False
        if news:
            await self._context.recorder.normal(cluster, deletion.DELETING, step.message)

    async def _release(self, cluster: Object, step: Release) -> None:
        """The finalizer first: by a cache that lags behind, this is come to once more, and refused."""
        try:
            await self._set_finalizer(cluster, there=False)
        except errors.NotFound:
            return
        self._answers.pop(cluster["metadata"]["uid"], None)
        if step.reason:
            archived = step.reason == deletion.ARCHIVED
            tell = self._context.recorder.normal if archived else self._context.recorder.warning
            await tell(cluster, step.reason, step.message)

    async def _set_finalizer(self, cluster: Object, *, there: bool) -> None:
        metadata = cluster["metadata"]
        path = paths.of("postgresclusters", metadata["namespace"], metadata["name"])
        await self._context.client.merge(path, finalizers.change(cluster, names.FINALIZER_LAST_WAL, there=there))
