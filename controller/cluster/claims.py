"""The claims of the instances, each as large as the spec says. One grows whether its instance runs or not."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

from controller.claim_grower import Grower
from controller.cluster.facts import ClusterFacts
from controller.cluster.gather import of_earlier, stranger
from controller.context import Context
from pgwarden.api import names
from pgwarden.kube import paths
from pgwarden.kube.cache import Key

#: A claim that was as large as the spec says is looked at again after this time.
TRUSTED = timedelta(minutes=2)


class ClaimKeeper:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._grower = Grower(context)
        #: Cluster → claim → for which size it was found large enough, and when.
        self._settled: dict[Key, dict[str, tuple[str, datetime]]] = {}

    def forget(self, key: Key) -> None:
        self._settled.pop(key, None)

    async def look(self, key: Key, facts: ClusterFacts) -> ClusterFacts:
        """*facts* with what the claims lack. While a Restore swaps them they are left alone."""
        if facts.restoring:
            self.forget(key)
            return facts
        wanted = [one.name for one in facts.instances]
        first = names.instance(facts.name, 1)
        if facts.claim is not None and first not in wanted:  # it is being filled
            wanted.append(first)
        settled, size = self._settled.setdefault(key, {}), facts.spec.instances.storage.size
        found = []
        for name in wanted:
            known = settled.get(name)
            if known is not None and known[0] == size and facts.now - known[1] < TRUSTED:
                continue
            settled.pop(name, None)
            claim = await self._context.client.find(paths.of("persistentvolumeclaims", key[0], name))
            if claim is None or of_earlier(claim, facts.cluster) or stranger(claim, facts.cluster):
                continue  # that is told elsewhere
            growth = await self._grower.look(claim, size)
            if growth is None:
                settled[name] = size, facts.now
            else:
                found.append(growth)
        return dataclasses.replace(facts, growths=tuple(found))
