"""What a Repository consists of in the cluster, brought up to date: Secrets, configuration, Services, claim, host."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from controller import credentials, owned
from controller.context import Context
from controller.repository import gather, render, secrets
from controller.repository.facts import RepositoryFacts
from controller.runtime import conditions
from controller.runtime.applied import Applied
from controller.runtime.backoff import Allowance
from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.api.quantity import parse_quantity
from pgwarden.api.reading import get
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key
from pgwarden.pgbackrest import config
from pgwarden.storages import Place

#: The kubelet, and then the agent, see a changed configuration within this time.
MOVING = timedelta(seconds=20)
#: A pod that has not got it after this time is not waited for: what keeps it is another matter.
ARRIVED = timedelta(minutes=2)
#: Times that pods are touched for a new configuration: more at once than a person makes, then one a minute.
NUDGES, NUDGE_AGAIN = 20, timedelta(minutes=1)


class InTheWayError(Exception):
    """An object of a name that the Repository needs is not its own. The message says which, and what to do."""


class Applier:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._applied = Applied()
        #: Repository → until when its pods may still be on the way to a new configuration.
        self._moving: dict[Key, datetime] = {}
        #: Repository → the digest of what its PostgreSQL pods are given, and since when it is that.
        self._given: dict[Key, tuple[str, datetime]] = {}
        #: Repository → the claim of its local storage.
        self._claims: dict[Key, Object] = {}
        #: Repository → the size that its claim cannot have.
        self._not_grown: dict[Key, str] = {}
        self._nudges: Allowance[Key] = Allowance(NUDGES, NUDGE_AGAIN)

    def forget(self, key: Key) -> None:
        for known in (self._moving, self._given, self._claims, self._not_grown):
            known.pop(key, None)
        self._nudges.forget(key)
        self._applied.forget(key)

    def is_moving(self, key: Key) -> bool:
        """Whether pods may still be on the way to a configuration that was written a moment ago."""
        now = self._context.clock()
        return self._moving.get(key, now) > now

    def is_on_the_way(self, key: Key, facts: RepositoryFacts) -> bool:
        """Whether the primary's pod works with another configuration than it was given a moment ago."""
        digest, since = self._given.get(key, ("", facts.now))
        has = facts.primary.answer.config_hash if facts.primary and facts.primary.answer else ""
        return bool(digest and has and has != digest and facts.now - since < ARRIVED)

    async def in_force(self, repository: Object, places: Sequence[Place]) -> tuple[Place, ...]:
        """*places* with what the configuration in force says in place of an operator's default that is gone."""
        metadata = repository["metadata"]
        found = await self._context.client.find(
            paths.of("configmaps", metadata["namespace"], names.host(metadata["name"]))
        )
        text = str(((found or {}).get("data") or {}).get(names.KEY_HOST_CONF, ""))
        return tuple(place.in_force(config.lines_of(text, number)) for number, place in enumerate(places, 1))

    async def apply(self, repository: Object, spec: RepositorySpec, places: Sequence[Place]) -> bool:
        """Whether PostgreSQL's pods are given another configuration than before."""
        context, now = self._context, self._context.clock()
        namespace, name = repository["metadata"]["namespace"], repository["metadata"]["name"]
        authority = await secrets.ensure_authority(context.client, repository, now)
        await asyncio.to_thread(context.agents.trust, (namespace, name), authority)
        given = await credentials.read_credentials(context.client, namespace, spec)
        per_repo = {
            number: config.RepoCredentials(given.keys.get(storage, {}), given.cipher_pass)
            for number, storage in enumerate(spec.storages, 1)
        }
        conf = config.credentials_conf(per_repo)
        leaves = await secrets.ensure_leaves(
            context.client, repository, authority, conf, given.storage_ca, now, context.settings.cluster_domain
        )
        endpoints = [
            config.PodEndpoint(pod.ip, pod.facts)
            for pod in await gather.answering(context, (namespace, name))
            if pod.ip and pod.facts
        ]
        host_conf = config.host_conf(repository, spec, places, endpoints)
        pod_conf = config.pod_conf(repository, spec, places)
        changed = (
            await self._apply_one("configmaps", render.config_map(repository, host_conf, pod_conf)) or leaves.written
        )
        for service in render.services(repository):
            await self._apply_one("services", service)
        volume = storages.volume(spec)
        self._claims.pop((namespace, name), None)  # of a storage that was given up
        if volume is not None:
            self._claims[namespace, name] = await self._ensure_claim(render.claim(repository, volume))
            await self._grow(repository, self._claims[namespace, name], volume.size)
        await self._apply_one("deployments", render.deployment(repository, spec, context.settings))
        key = namespace, name
        digest = config.source_digest({names.KEY_POD_CONF: pod_conf.encode(), **leaves.pods})
        is_new = self._given.get(key, ("",))[0] != digest
        if changed:
            self._moving[key] = now + MOVING
            if self._nudges.take(key, now):
                await self._nudge(namespace, name)
        if is_new:
            self._given[key] = digest, now
        return is_new

    async def _apply_one(self, plural: str, obj: Object) -> bool:
        """Server-side apply where it differs from what we applied last, or where the object has gone.

        Whether that changed it: what a controller that has just started applies is there already, as a rule.
        Another's Deployment of that name is not taken over; an earlier Repository's goes by itself.
        """
        path = paths.of(plural, obj["metadata"]["namespace"], obj["metadata"]["name"])
        found = await self._context.client.find(path)
        is_workload = plural == "deployments"
        if found and is_workload and not owned.is_owned(found, obj["metadata"]["ownerReferences"][0]["uid"]):
            raise InTheWayError(_in_the_way("Deployment", obj["metadata"]["name"]))
        if self._applied.age(path, obj) is not None and found is not None:
            return False
        made = await self._context.client.apply(path, obj)
        self._applied.note(path, obj)
        return found is None or made["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]

    def claim(self, key: Key) -> Object | None:
        """The local storage's claim, as it was found or made when the Repository was applied last."""
        return self._claims.get(key)

    async def apply_spare(self, facts: RepositoryFacts) -> None:
        """The spare host: there and up to date where it is wanted, else gone."""
        context, repository = self._context, facts.repository
        made = render.spare(repository, facts.spec, context.settings)
        if facts.spare_wanted:
            await self._apply_one("deployments", made)
            return
        name = made["metadata"]["name"]
        found = context.caches.deployments.get(facts.key[0], name)
        if found is not None and owned.is_owned(found, repository["metadata"]["uid"]):
            await context.client.delete(paths.of("deployments", facts.key[0], name), uid=found["metadata"]["uid"])

    async def _ensure_claim(self, claim: Object) -> Object:
        """Made once. One that is there is adopted where it carries our labels and has no owner, as an earlier
        Repository of the name has left it; its spec cannot be applied again.
        """
        namespace, name = claim["metadata"]["namespace"], claim["metadata"]["name"]
        found = await self._context.client.find(paths.of("persistentvolumeclaims", namespace, name))
        if found is not None:
            ours = {key: claim["metadata"]["labels"][key] for key in (names.MANAGED_BY, names.LABEL_OWNER_REPOSITORY)}
            if not owned.is_adoptable(found, ours):
                raise InTheWayError(_in_the_way("PersistentVolumeClaim", name))
            return found
        try:
            return await self._context.client.create(paths.of("persistentvolumeclaims", namespace), claim)
        except errors.Conflict:
            return claim

    async def _grow(self, repository: Object, claim: Object, size: str) -> None:
        """Ask for the size of the spec where the claim asks for less. One that cannot be had is told once."""
        path = ("spec", "resources", "requests")
        before = parse_quantity(get(claim, str, *path, "storage") or "")
        wanted = parse_quantity(size)
        key = repository["metadata"]["namespace"], repository["metadata"]["name"]
        if before is None or wanted is None or wanted <= before or self._not_grown.get(key) == size:
            return
        name = claim["metadata"]["name"]
        body = {"spec": {"resources": {"requests": {"storage": size}}}}
        try:
            await self._context.client.merge(paths.of("persistentvolumeclaims", key[0], name), body)
        except errors.Invalid as error:
            self._not_grown[key] = size
            await self._context.recorder.warning(
                repository, "ClaimNotExpanded", f"claim {name} cannot grow to {size}: {error}"
            )

    async def _nudge(self, namespace: str, name: str) -> None:
        """Touch the pods that mount what changed: the kubelet looks at a pod's volumes then, else only each minute."""
        caches = self._context.caches
        pods = caches.labelled(caches.postgres_pods, namespace, names.LABEL_REPOSITORY, name)
        pods += caches.labelled(caches.own_pods, namespace, names.LABEL_OWNER_REPOSITORY, name)
        stamp = {
            "metadata": {"annotations": {names.ANNOTATION_CONFIG_HASH: conditions.timestamp(self._context.clock())}}
        }
        for pod in pods:
            if pod.get("status", {}).get("phase") in {"Pending", "Running"}:
                try:
                    await self._context.client.merge(paths.of("pods", namespace, pod["metadata"]["name"]), stamp)
                except errors.NotFound:
                    continue


def _in_the_way(kind: str, name: str) -> str:
    said = f"there is a {kind} {name} that does not belong to this Repository; it is left unchanged"
    return f"{said}. Delete it if it is unused, or give the Repository another name"
