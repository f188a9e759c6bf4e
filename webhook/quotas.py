"""ResourceQuotas, as the watch last showed them: what room a namespace has.

No pod waits for the first list. Where they cannot be read none bounds anything: the sidecar has its usual size then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pgwarden.api.objects import Object
from pgwarden.injection import room
from pgwarden.injection.room import Quota
from pgwarden.kube import paths
from pgwarden.kube.cache import NAMESPACE, WatchCache, key_of
from pgwarden.kube.client import KubeClient


class Quotas:
    """`run()` until cancelled."""

    def __init__(self, client: KubeClient, namespaces: Sequence[str] = ()) -> None:
        """Of *namespaces*; without any, of all."""
        #: Packed: there may be one in each of thousands of namespaces.
        where = paths.each("resourcequotas", namespaces)
        self.cache = WatchCache(client, where, transform=room.outline, packed=True)
        self.cache.listen(self._tell)
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    async def run(self) -> None:
        await self.cache.run()

    def of(self, namespace: str) -> tuple[Quota, ...]:
        """Those that count something of a container, by name."""
        found = [quota for one in self.cache.by(NAMESPACE, namespace) if (quota := room.read(one)) is not None]
        return tuple(sorted(found, key=lambda quota: quota.name))

    async def changed(self, namespace: str, seconds: float) -> bool:
        """Whether one of the namespace changes within so many *seconds*."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(namespace, set())
        waiting.add(future)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            return False
        finally:
            waiting.discard(future)
            if not waiting and self._waiting.get(namespace) is waiting:
                del self._waiting[namespace]
        return True

    def _tell(self, _kind: str, obj: Object, _before: Object | None) -> None:
        for future in self._waiting.get(key_of(obj)[0], ()):
            if not future.done():
                future.set_result(None)
