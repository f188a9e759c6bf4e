"""Our kinds and LimitRanges, as the watch last showed them. ResourceQuotas: quotas.py.

No look-up waits, but one for a Repository younger than the watch.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from pgwarden.api import registry
from pgwarden.api.objects import Object
from pgwarden.api.sizing import NOTHING, Asks, asks
from pgwarden.kube import errors, index, paths
from pgwarden.kube.cache import NAMESPACE, WatchCache, key_of
from pgwarden.kube.client import KubeClient
from webhook.quotas import Quotas

Key = tuple[str, str]
_RANGES = "limitranges"
REPOSITORY = "repository"  # the index by spec.repository
LIVE_SECONDS = 1.0  # for the one question to the API server: the webhook itself has but a few seconds
_RECENT_SECONDS = 10.0  # how long an object fetched ahead of the watch is believed


class Store:
    """Watch caches of our kinds and of LimitRanges, and the Lookup of the rules; `quotas` beside them.

    `run()` until cancelled; `synced` once all are listed but the quotas, which no answer needs.
    """

    def __init__(self, client: KubeClient, namespaces: Sequence[str] = ()) -> None:
        """Of *namespaces*; without any, of all."""
        self._client, self._namespaces = client, frozenset(namespaces)
        by_repository = {REPOSITORY: index.repository}  # so that a namespace with thousands is not gone through
        self.caches = {
            kind.plural: WatchCache(client, paths.each(kind.plural, namespaces), indexes=by_repository)
            for kind in registry.KINDS
            if kind.read_by_webhook
        }
        self.caches[_RANGES] = WatchCache(client, paths.each(_RANGES, namespaces))
        self.caches[_RANGES].listen(self._ranges_changed)
        self.quotas = Quotas(client, namespaces)
        #: Namespace → what its LimitRanges ask, once that was asked for.
        self._asks: dict[str, Asks] = {}
        self._recent: dict[Key, tuple[float, Object]] = {}
        self._asking: dict[Key, asyncio.Task[Object | None]] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for cache in self.caches.values():
                group.create_task(cache.run())
            group.create_task(self.quotas.run())

    @property
    def synced(self) -> bool:
        return all(cache.synced.is_set() for cache in self.caches.values())

    def _ranges_changed(self, _kind: str, obj: Object, _before: Object | None) -> None:
        self._asks.pop(key_of(obj)[0], None)

    def asks(self, namespace: str) -> Asks:
        """What LimitRanges bound. What quotas want named, a pod's own containers show."""
        known = self._asks.get(namespace)
        if known is not None:
            return known
        found = self.caches[_RANGES].by(NAMESPACE, namespace)
        if not found:  # nothing to remember for each of many namespaces
            return NOTHING
        self._asks[namespace] = asks((), found)
        return self._asks[namespace]

    def repository(self, namespace: str, name: str) -> Object | None:
        """From memory alone."""
        found = self.caches["repositories"].get(namespace, name)
        if found is None:
            until, recent = self._recent.get((namespace, name), (0.0, None))
            found = recent if time.monotonic() < until else None
        return found

    def repositories(self) -> list[Object]:
        return list(self.caches["repositories"].items.values())

    def backups(self, namespace: str, repository: str) -> list[Object]:
        return self.caches["backups"].by(REPOSITORY, (namespace, repository))

    def schedules(self, namespace: str, repository: str) -> list[Object]:
        return self.caches["backupschedules"].by(REPOSITORY, (namespace, repository))

    def restores(self, namespace: str, repository: str) -> list[Object]:
        return self.caches["restores"].by(REPOSITORY, (namespace, repository))

    async def find_repository(self, namespace: str, name: str) -> Object | None:
        """From memory; only where it is not there, from the API server (a Repository applied a moment before its pods).

        TimeoutError or ApiError where the API server does not answer: then nobody can say that there is none.
        """
        found = self.repository(namespace, name)
        if found is not None or (self._namespaces and namespace not in self._namespaces):  # which we may not read
            return found
        key = (namespace, name)
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        # Shielded: the caller that started the question may hang up while others wait for the same answer.
        return await asyncio.shield(asking)

    async def _ask(self, key: Key) -> Object | None:
        try:
            found: Object = await self._client.get(paths.of("repositories", *key), seconds=LIVE_SECONDS)
        except errors.NotFound:
            return None
        now = time.monotonic()
        self._recent = {each: kept for each, kept in self._recent.items() if kept[0] > now}
        self._recent[key] = now + _RECENT_SECONDS, found
        return found
