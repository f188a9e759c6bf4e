"""Asking for larger claims, at the API server: of a Repository, and of the instances of a PostgresCluster."""

from __future__ import annotations

from datetime import timedelta

from controller import claim_growth
from controller.claim_growth import Growth
from controller.context import Context
from controller.runtime.backoff import Pace, Tries
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, is_going
from pgwarden.kube import errors, paths
from pgwarden.kube.client import find_named

#: A larger request that was refused is tried again: a quota may have been raised. At once where its class allows it.
PACE = Pace(timedelta(seconds=30), timedelta(minutes=10))


class Grower:
    def __init__(self, context: Context) -> None:
        self._context = context
        #: By the claim's uid, the size, and whether its class allows it.
        self._asked: Tries[tuple[str, str, bool]] = Tries(PACE)

    async def look(self, claim: Object, size: str) -> Growth | None:
        """Raise the request of *claim* where that is less than *size*. What is missing of that size, if anything."""
        if is_going(claim) or not claim_growth.falls_short(claim, size):
            return None
        found, refused = await self._storage_class(claim), ""
        if claim_growth.is_to_be_asked_for(claim, size):
            claim, refused = await self._ask(claim, size, allowed=claim_growth.allows(found))
        return claim_growth.judge(claim, size, found, refused)

    async def _storage_class(self, claim: Object) -> Object | None:
        name = get(claim, str, "spec", "storageClassName") or ""
        return await find_named(self._context.client, "storageclasses", "", name) if name else None

    async def _ask(self, claim: Object, size: str, *, allowed: bool) -> tuple[Object, str]:
        """The claim as it is then, and why the API server does not take the larger one."""
        metadata, now = claim["metadata"], self._context.clock()
        key = str(metadata["uid"]), size, allowed
        known = self._asked.get(key)
        if not self._asked.may(key, now):
            return claim, known.said if known else ""
        path = paths.of("persistentvolumeclaims", metadata["namespace"], metadata["name"])
        # No other claim that has taken its place.
        body = {"metadata": {"uid": metadata["uid"]}, "spec": {"resources": {"requests": {"storage": size}}}}
        try:
            grown = await self._context.client.merge(path, body)
        except errors.Invalid as error:
            self._asked.tried(key, now, error.message)
            return claim, error.message
        self._asked.forget(key)
        return grown, ""
