"""One leader by a Lease: the kubernetes package's election, over a lock that uses our own client.

The package's own LeaseLock (37.0.2) fails at its first create: it passes `pretty=True` where its model wants a string.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import aiohttp
import structlog

from pgwarden.kube import errors, paths
from pgwarden.kube.client import KubeClient, Object

if TYPE_CHECKING:
    from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord

log = structlog.get_logger()
LEASE_SECONDS = 15
SHORTEST_LEASE = 3  # below, one slow answer of the API server would cost the lease


@dataclass(frozen=True)
class Timing:
    """Of a lease: seconds it is good for, until when the holder tries to renew it, and between two looks."""

    lease: int = LEASE_SECONDS

    @property
    def renew(self) -> float:
        return self.lease * 2 / 3

    @property
    def retry(self) -> float:
        return max(1.0, self.lease * 2 / 15)


RETRY_SECONDS = Timing().retry
_TROUBLE = (errors.ApiError, aiohttp.ClientError, TimeoutError, OSError)


async def run(
    client: KubeClient,
    namespace: str,
    name: str,
    identity: str,
    work: Callable[[], Awaitable[None]],
    timing: Timing = Timing(),
) -> None:
    """Wait for the lease, run *work* while it is held, give it back, and return when it is lost or *work* has ended.

    The caller must end the process then: what runs in worker threads cannot be called back.
    """
    from kubernetes.aio.leaderelection import electionconfig, leaderelection

    ended = asyncio.Event()
    failure: list[BaseException] = []

    async def started() -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  handed to the caller below
            failure.append(error)
        finally:
            ended.set()

    lock = _lock(client, namespace, name, identity, timing)
    election = electionconfig.Config(
        lock,
        lease_duration=timing.lease,
        renew_deadline=timing.renew,
        retry_period=timing.retry,
        onstarted_leading=started,
        onstopped_leading=_nothing,
    )
    contest = asyncio.create_task(leaderelection.LeaderElection(election).run())
    over = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait({contest, over}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (contest, over):
            task.cancel()
        await asyncio.gather(contest, over, return_exceptions=True)
        await asyncio.shield(_release(client, namespace, name, identity))
    if not contest.cancelled() and contest.exception() is not None:
        failure.append(contest.exception() or RuntimeError("the contest for the lease broke"))
    if failure:
        raise failure[0]


def _lock(client: KubeClient, namespace: str, name: str, identity: str, timing: Timing):  # type: ignore[no-untyped-def]
    """A BaseLock; built here so that the kubernetes package is imported only by who leads."""
    from kubernetes.aio.client.exceptions import ApiException
    from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
    from kubernetes.aio.leaderelection.resourcelock.baselock import BaseLock

    class Lock(BaseLock):
        version = ""

        async def get(self, name: str, namespace: str) -> tuple[bool, LeaderElectionRecord] | tuple[bool, Exception]:
            try:
                lease = await client.get(paths.of("leases", namespace, name), seconds=timing.renew / 2)
            except errors.NotFound:
                absent = ApiException(status=404, reason="not found")
                absent.body = json.dumps({"code": 404})
                return False, absent
            except _TROUBLE as error:
                return False, ApiException(status=0, reason=str(error))
            self.version = lease["metadata"]["resourceVersion"]
            spec = lease.get("spec") or {}
            seconds = spec.get("leaseDurationSeconds")
            return True, LeaderElectionRecord(
                spec.get("holderIdentity") or None,
                str(seconds) if seconds else None,
                spec.get("acquireTime") or None,
                spec.get("renewTime") or None,
            )

        async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
            body = _lease(name, namespace) | {"spec": _spec(election_record)}
            return await _quietly(client.request("POST", paths.of("leases", namespace), body=body), timing)

        async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
            body = _lease(name, namespace, self.version) | {"spec": _spec(updated_record)}
            return await _quietly(client.request("PUT", paths.of("leases", namespace, name), body=body), timing)

    return Lock(name, namespace, identity)


async def _quietly(call: Awaitable[object], timing: Timing) -> bool:
    """Whether the call went well. Losing a race for the lease is no error, it is the point of it."""
    try:
        await asyncio.wait_for(call, timing.renew / 2)
    except _TROUBLE as error:
        log.info("lease not written", error=str(error))
        return False
    return True


async def _release(client: KubeClient, namespace: str, name: str, identity: str) -> None:
    """Give the lease back where it is ours, so that the next leader need not wait for its end."""
    try:
        path = paths.of("leases", namespace, name)
        lease = await client.find(path)
        if lease is None or lease.get("spec", {}).get("holderIdentity") != identity:
            return
        free = _lease(name, namespace, lease["metadata"]["resourceVersion"])
        await client.request("PUT", path, body=free | {"spec": lease["spec"] | {"holderIdentity": ""}})
    except _TROUBLE as error:
        log.info("lease not given back", error=str(error))


def _lease(name: str, namespace: str, version: str = "") -> Object:
    metadata = {"name": name, "namespace": namespace} | ({"resourceVersion": version} if version else {})
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}


def _spec(record: LeaderElectionRecord) -> Object:
    return {
        "holderIdentity": record.holder_identity,
        "leaseDurationSeconds": int(record.lease_duration or LEASE_SECONDS),
        "acquireTime": _micro_time(record.acquire_time),
        "renewTime": _micro_time(record.renew_time),
    }


def _micro_time(time: str | None) -> str | None:
    """The election writes local time as `2026-11-23 10:00:00.123456`; the API wants RFC 3339 with microseconds."""
    if time is None or time.endswith("Z"):
        return time
    return datetime.fromisoformat(time).astimezone().isoformat(timespec="microseconds")


async def _nothing() -> None:
    """The lease was lost: `run` returns, and its caller ends the process."""
