"""One leader by a Lease, who never works past it.

The election of the kubernetes package is not used: it looks at its deadline between attempts only, so that a slow API
server lets a leader work on when the lease is over, and it does not wait for the work to end. Times here are of the
event loop's clock; no two machines' clocks are compared.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
import structlog

from pgwarden.api.objects import Object
from pgwarden.kube import errors, paths
from pgwarden.kube.client import KubeClient

log = structlog.get_logger()
LEASE_SECONDS = 15
SHORTEST_LEASE = 3  # below, one slow answer of the API server would cost the lease
PATIENCE = 5.0  # seconds of one attempt; the next one takes another connection, as this one may be dead
_TROUBLE = (errors.ApiError, aiohttp.ClientError, TimeoutError, OSError)


@dataclass(frozen=True)
class Timing:
    """Of a lease: seconds it is good for, until when the holder tries to renew it, and between two looks.

    What is left between `renew` and `lease` is the time that the work has to end when the lease could not be renewed.
    """

    lease: int = LEASE_SECONDS

    @property
    def renew(self) -> float:
        return self.lease * 2 / 3

    @property
    def retry(self) -> float:
        return self.lease * 2 / 15


async def run(
    client: KubeClient,
    namespace: str,
    name: str,
    identity: str,
    work: Callable[[], Awaitable[None]],
    timing: Timing = Timing(),
    die: Callable[[], object] = lambda: os._exit(1),
) -> None:
    """Wait for the lease, run *work* while it is held, and return when it is lost or *work* has ended.

    However it comes to an end, by cancellation as well, *work* ends first and then the lease is given back. *die* ends
    the process: it is called where *work* has not ended when the lease is over.

    Nothing of *work* may go on in a thread that writes to the API server: it could not be called back.
    """
    lease = _Lease(client, namespace, name, identity, timing)
    try:
        while not await lease.attempt(timing.renew):  # noqa: ASYNC110  the lease is no Event
            await asyncio.sleep(_jittered(timing.retry))
        task = asyncio.ensure_future(work())
        try:
            await _keep(lease, task)
        finally:
            await _end(task, lease.over_at, die)
    finally:
        await lease.release()
    if not task.cancelled():
        task.result()


async def _keep(lease: _Lease, task: asyncio.Future[None]) -> None:
    """Renew the lease until *task* has ended, the lease is another's, or its holder may not count on it any more."""
    began = lease.held_since
    while True:
        pause = began + _jittered(lease.timing.retry) - _now()  # none after an attempt that took as long
        await asyncio.wait({task}, timeout=max(0.0, min(pause, lease.renew_by - _now())))
        if task.done():
            return
        began, left = _now(), lease.renew_by - _now()
        if left <= 0:
            log.error("the lease could not be renewed in time", identity=lease.identity)
            return
        if not await lease.attempt(left) and lease.is_anothers:
            log.error("another holds the lease", identity=lease.identity)
            return


async def _end(task: asyncio.Future[None], until: float, die: Callable[[], object]) -> None:
    """Cancel *task* and wait for its end, which must come before *until*."""
    task.cancel()
    await asyncio.wait({task}, timeout=max(0.0, until - _now()))
    if not task.done():
        log.critical("the work has not ended with the lease")
        die()
    elif not task.cancelled() and task.exception() is not None:
        log.error("the work broke", exc_info=task.exception())


class _Lease:
    """The Lease as we last saw it, and since when."""

    def __init__(self, client: KubeClient, namespace: str, name: str, identity: str, timing: Timing) -> None:
        self.identity = identity
        self.timing = timing
        self.is_anothers = False
        self._client = client
        self._metadata = {"name": name, "namespace": namespace}
        self._seen: Object = {}
        self._seen_at = 0.0
        self.held_since = float("-inf")  # when the last attempt began that went well

    @property
    def renew_by(self) -> float:
        return self.held_since + self.timing.renew

    @property
    def over_at(self) -> float:
        """When others may take it: they count from when they see it, which is later than when we began to write it."""
        return self.held_since + self.timing.lease

    async def attempt(self, seconds: float) -> bool:
        """Take or renew the lease, within *seconds*. False where that failed, or another holds it."""
        began = _now()
        try:
            async with asyncio.timeout(min(seconds, PATIENCE)):
                held = await self._take()
        except _TROUBLE as error:  # losing a race for the lease is one, and the point of it
            log.info("lease not written", error=str(error) or type(error).__name__)
            return False
        if held:
            self.held_since = began
        return held

    async def _take(self) -> bool:
        found = await self._client.find(self._path())
        spec: Object = (found or {}).get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if spec != self._seen:
            self._seen, self._seen_at = spec, _now()
        seconds = spec.get("leaseDurationSeconds") or self.timing.lease
        self.is_anothers = holder not in {"", self.identity}
        if self.is_anothers and _now() < self._seen_at + seconds:
            return False
        if found is None:
            await self._client.request("POST", paths.of("leases", self._metadata["namespace"]), body=self._body({}, ""))
        else:
            await self._client.request("PUT", self._path(), body=self._body(spec, found["metadata"]["resourceVersion"]))
        self.is_anothers = False
        return True

    async def release(self) -> None:
        """Give the lease back where it is ours, so that the next leader need not wait for its end."""
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._client.find(self._path())
                spec: Object = (found or {}).get("spec") or {}
                if found is not None and spec.get("holderIdentity") == self.identity:
                    metadata = self._metadata | {"resourceVersion": found["metadata"]["resourceVersion"]}
                    free = _LEASE | {"metadata": metadata, "spec": spec | {"holderIdentity": ""}}
                    await self._client.request("PUT", self._path(), body=free)
        except _TROUBLE as error:
            log.info("lease not given back", error=str(error) or type(error).__name__)

    def _path(self) -> str:
        return paths.of("leases", self._metadata["namespace"], self._metadata["name"])

    def _body(self, before: Object, version: str) -> Object:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        renewed = before.get("holderIdentity") == self.identity
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self.timing.lease,
            "acquireTime": before.get("acquireTime") if renewed else now,
            "renewTime": now,
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (0 if renewed or not before else 1),
        }
        return _LEASE | {"metadata": self._metadata | ({"resourceVersion": version} if version else {}), "spec": spec}


_LEASE = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}


def _now() -> float:
    return asyncio.get_running_loop().time()


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311  spread, not secrecy
