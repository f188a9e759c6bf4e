"""One leader by a Lease, through the kubernetes package's own leader election."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

LEASE_SECONDS = 15
RENEW_SECONDS = 10
RETRY_SECONDS = 2


async def run(namespace: str, name: str, identity: str, work: Callable[[], Awaitable[None]]) -> None:
    """Wait for the lease, run *work* while it is held, and return when it is lost or *work* has ended.

    The caller must end the process then: what runs in worker threads cannot be called back.
    """
    from kubernetes.aio import config
    from kubernetes.aio.client import ApiClient
    from kubernetes.aio.leaderelection import electionconfig, leaderelection
    from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

    if os.environ.get("KUBECONFIG") or not os.environ.get("KUBERNETES_SERVICE_HOST"):
        await config.load_kube_config()  # type: ignore[no-untyped-call]
    else:
        config.load_incluster_config()  # type: ignore[no-untyped-call]
    ended = asyncio.Event()
    failure: list[BaseException] = []

    async def started() -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  handed to the caller below
            failure.append(error)
        finally:
            ended.set()

    async with ApiClient() as api:
        election = electionconfig.Config(
            LeaseLock(name, namespace, identity, api),
            lease_duration=LEASE_SECONDS,
            renew_deadline=RENEW_SECONDS,
            retry_period=RETRY_SECONDS,
            onstarted_leading=started,
            onstopped_leading=_nothing,
        )
        contest = asyncio.create_task(leaderelection.LeaderElection(election).run())
        over = asyncio.create_task(ended.wait())
        await asyncio.wait({contest, over}, return_when=asyncio.FIRST_COMPLETED)
        for task in (contest, over):
            task.cancel()
        await asyncio.gather(contest, over, return_exceptions=True)
    if failure:
        raise failure[0]


async def _nothing() -> None:
    """The lease was lost: `run` returns, and its caller ends the process."""
