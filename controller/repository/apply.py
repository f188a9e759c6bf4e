"""What a Repository consists of in the cluster, brought up to date: Secrets, configuration, Services, claim, host."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta

from controller import host_image, network_policies, owned, pod_terms, removal
from controller.claim_grower import Grower
from controller.claim_growth import Growth
from controller.context import Context
from controller.owned import InTheWayError
from controller.repository import gather, metrics, render
from controller.repository.facts import RepositoryFacts
from controller.repository.keys import Keys
from controller.repository.server_places import ServerPlaces
from controller.repository.versions import Versions
from controller.runtime import conditions
from controller.runtime.applied import Applied
from controller.runtime.backoff import Allowance
from controller.settings import Settings
from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec
from pgwarden.api.objects import Object
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
        self._grower = Grower(context)
        #: Repository → what that claim lacks of the size in the spec.
        self._growth: dict[Key, Growth] = {}
        self._nudges: Allowance[Key] = Allowance(NUDGES, NUDGE_AGAIN)
        #: By which the host's image is chosen.
        self.versions = Versions(context)
        #: By which the configuration finds PostgreSQL in its pods.
        self.places = ServerPlaces()
        self.keys = Keys(context)

    def forget(self, key: Key) -> None:
        self.keys.forget(key)
        for known in (self._moving, self._given, self._claims, self._growth):
            known.pop(key, None)
        self._nudges.forget(key)
        self._applied.forget(key)
        self.versions.forget(key)
        self.places.forget(key)

    async def _settings(self, key: Key) -> Settings:
        """With the image that the host is to have."""
        return dataclasses.replace(self._context.settings, image=await self.versions.image(key))

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
        mine = found if found is not None and owned.is_owned(found, metadata["uid"]) else {}
        text = str((mine.get("data") or {}).get(names.KEY_HOST_CONF, ""))
        return tuple(place.in_force(config.lines_of(text, number)) for number, place in enumerate(places, 1))

    async def apply(self, repository: Object, spec: RepositorySpec, places: Sequence[Place]) -> bool:
        """Whether PostgreSQL's pods are given another configuration than before."""
        context, now = self._context, self._context.clock()
        namespace, name = repository["metadata"]["namespace"], repository["metadata"]["name"]
        leaves = await self.keys.leaves(repository, spec)
        metrics.EXPIRY.labels(namespace, name).set(leaves.expires.timestamp())
        endpoints = [
            config.PodEndpoint(pod.ip, found)
            for pod in await gather.answering(context, (namespace, name))
            if pod.ip and (found := self.places.of((namespace, name), pod))
        ]
        host_conf = config.host_conf(repository, spec, places, endpoints)
        pod_conf = config.pod_conf(repository, spec, places)
        confs = render.config_map(repository, host_conf, pod_conf, config.server_conf(repository, spec, places))
        changed = await self._apply_one("configmaps", confs) or leaves.written
        for service in render.services(repository):
            await self._apply_one("services", service)
        await self._keep_policy(repository, spec)
        volume = storages.volume(spec)
        self._claims.pop((namespace, name), None)  # of a storage that was given up
        if volume is not None:
            await self._keep_claim((namespace, name), render.claim(repository, volume), volume.size)
        key = namespace, name
        await self._apply_host(repository, spec)
        digest = config.source_digest({names.KEY_POD_CONF: pod_conf.encode(), **leaves.pods})
        is_new = self._given.get(key, ("",))[0] != digest
        if changed:
            self._moving[key] = now + MOVING
            if self._nudges.take(key, now):
                await self._nudge(namespace, name)
        if is_new:
            self._given[key] = digest, now
        return is_new

    async def _keep_policy(self, repository: Object, spec: RepositorySpec) -> None:
        made = network_policies.of_repository(repository, spec, self._context.settings)
        if self._context.settings.network_policies:
            await self._apply_one("networkpolicies", made)
        else:
            await removal.remove(self._context, "networkpolicies", made)

    async def _apply_host(self, repository: Object, spec: RepositorySpec) -> None:
        context, key = self._context, (repository["metadata"]["namespace"], repository["metadata"]["name"])
        settings, terms = await self._settings(key), pod_terms.terms(context, *key)
        if settings.image == context.settings.image:
            made = render.deployment(repository, spec, settings, terms)
        else:
            found = await context.client.find(paths.of("deployments", key[0], names.host(key[1])))
            apart = host_image.has_server(found)
            made = render.deployment(repository, spec, settings, terms, apart=apart)
            made = host_image.keep_template(made, found, repository)
        await self._apply_one("deployments", made)

    async def _apply_one(self, plural: str, obj: Object) -> bool:
        """Server-side apply where it differs from what we applied last, or where the object has gone. Nothing is asked
        while the cache shows what we applied; its deletion wakes the Repository.

        Whether that changed it: what a controller that has just started applies is there already, as a rule.
        Another's object of that name is not taken over; an earlier Repository's goes by itself.
        """
        metadata, uid = obj["metadata"], obj["metadata"]["ownerReferences"][0]["uid"]
        path = paths.of(plural, metadata["namespace"], metadata["name"])
        known = self._context.caches.of_repositories[plural].get(metadata["namespace"], metadata["name"])
        if known is not None and owned.is_owned(known, uid) and self._applied.age(path, obj) is not None:
            return False
        found = await self._context.client.find(path)
        owned.prove(found, obj)
        if self._applied.age(path, obj) is not None and found is not None:
            return False
        made = await self._context.client.apply(path, obj)
        self._applied.note(path, obj)
        return found is None or made["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]

    def claim(self, key: Key) -> Object | None:
        """The local storage's claim, as it was found or made when the Repository was applied last."""
        return self._claims.get(key)

    def growth(self, key: Key) -> Growth | None:
        """What that claim lacked then of the size in the spec."""
        return self._growth.get(key) if key in self._claims else None

    async def apply_spare(self, facts: RepositoryFacts) -> None:
        """The spare host: there and up to date where it is wanted, else gone."""
        context, repository = self._context, facts.repository
        settings = await self._settings(facts.key)
        made = render.spare(repository, facts.spec, settings, pod_terms.terms(context, *facts.key))
        if facts.spare_wanted:
            await self._apply_one("deployments", made)
            return
        await removal.remove(context, "deployments", made)

    async def _ensure_claim(self, claim: Object) -> Object:
        """Made once. One that is there is adopted where it carries our labels and has no owner, as an earlier
        Repository of the name has left it; its spec cannot be applied again. One that the cache shows is there.
        """
        namespace, name = claim["metadata"]["namespace"], claim["metadata"]["name"]
        ours = {key: claim["metadata"]["labels"][key] for key in (names.MANAGED_BY, names.LABEL_OWNER_REPOSITORY)}
        known = self._context.caches.claims.get(namespace, name)
        if known is not None and owned.is_adoptable(known, ours):
            return known
        found = await self._context.client.find(paths.of("persistentvolumeclaims", namespace, name))
        if found is not None:
            if not owned.is_adoptable(found, ours):
                raise InTheWayError(owned.in_the_way("PersistentVolumeClaim", found, "Repository"))
            return found
        try:
            return await self._context.client.create(paths.of("persistentvolumeclaims", namespace), claim)
        except errors.Conflict:
            return claim

    async def _keep_claim(self, key: Key, claim: Object, size: str) -> None:
        """There, and as large as the spec says."""
        found = self._claims[key] = await self._ensure_claim(claim)
        growth = await self._grower.look(found, size)
        self._growth.pop(key, None)
        if growth is not None:
            self._growth[key] = growth

    async def _nudge(self, namespace: str, name: str) -> None:
        """Touch the pods that mount what changed: the kubelet looks at a pod's volumes then, else only each minute."""
        caches = self._context.caches
        pods = caches.labelled(caches.postgres_pods, namespace, names.LABEL_REPOSITORY, name)
        pods += [*await self._context.hosts(namespace, name), *self._of_jobs(namespace, name)]
        stamp = {
            "metadata": {"annotations": {names.ANNOTATION_CONFIG_HASH: conditions.timestamp(self._context.clock())}}
        }
        for pod in pods:
            if pod.get("status", {}).get("phase") in {"Pending", "Running"}:
                try:
                    await self._context.client.merge(paths.of("pods", namespace, pod["metadata"]["name"]), stamp)
                except errors.NotFound:
                    continue

    def _of_jobs(self, namespace: str, name: str) -> list[Object]:
        caches = self._context.caches
        pods, jobs = (caches.owned_by(cache, namespace, name) for cache in (caches.own_pods, caches.jobs))
        there = {job["metadata"]["uid"] for job in jobs}
        return [pod for pod in pods if owned.controller(pod, "Job").get("uid") in there]
