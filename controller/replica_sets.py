"""Which pods a Deployment runs: a pod names its ReplicaSet, and that its Deployment, each by uid.

Labels are anybody's to give. A ReplicaSet is read once, and remembered by its uid, which never is another's again.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

from controller import owned
from pgwarden.api.objects import Object
from pgwarden.kube.client import KubeClient, find_named

#: ReplicaSets that are remembered: the oldest are read again.
MOST = 20_000
#: Seconds until one that was another's is read again: a Deployment that is made anew takes over those that it finds.
AGAIN = 30.0


class ReplicaSets:
    def __init__(self, client: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        #: uid → uid of the Deployment (empty: of none), and when it was read.
        self._known: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def pods_of(self, deployment: Object | None, pods: Iterable[Object]) -> list[Object]:
        """Of *pods* those that *deployment* runs, in their order."""
        if deployment is None:
            return []
        metadata = deployment["metadata"]
        return [pod for pod in pods if await self._is_of(pod, metadata["namespace"], metadata["name"], metadata["uid"])]

    async def _is_of(self, pod: Object, namespace: str, name: str, uid: str) -> bool:
        by = owned.controller(pod, "ReplicaSet")
        own, called = str(by.get("uid") or ""), str(by.get("name") or "")
        if not own or not called.startswith(f"{name}-") or pod["metadata"].get("namespace") != namespace:
            return False
        whose, read = self._known.get(own, ("", None))
        if whose == uid:
            return True
        if read is not None and self._clock() - read < AGAIN:
            return False
        whose = await self._read(namespace, called, own)
        self._known[own] = whose, self._clock()
        self._known.move_to_end(own)
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return whose == uid

    async def _read(self, namespace: str, name: str, uid: str) -> str:
        """The uid of the Deployment that the ReplicaSet is of."""
        found = await find_named(self._client, "replicasets", namespace, name)
        if found is None or found["metadata"].get("uid") != uid:
            return ""
        return str(owned.controller(found, "Deployment").get("uid") or "")
