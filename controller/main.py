"""`python3 -m controller`: caches first, then leadership, then the work."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import Iterable
from typing import Any

import structlog
import uvloop

from controller import health, webhook_certificate
from controller.agents import Agents
from controller.context import Caches, Context
from controller.manager import Manager
from controller.runtime import leadership, metrics, steady
from controller.settings import Settings
from pgwarden import logs
from pgwarden.kube.cache import wait_synced
from pgwarden.kube.client import KubeClient
from pgwarden.kube.events import Recorder

log = structlog.get_logger()


def main(argv: list[str]) -> int:
    if argv:
        sys.stderr.write(
            f"pgwarden controller takes no arguments, not {' '.join(argv)}; it is set by PGWARDEN_* variables\n"
        )
        return 2
    logs.configure(os.environ.get("PGWARDEN_LOG_LEVEL", "info"))
    try:
        settings = Settings.from_environment(os.environ)
    except ValueError as error:
        sys.stderr.write(f"pgwarden controller: {error}\n")
        return 2
    return uvloop.run(run(settings))


async def run(settings: Settings) -> int:
    """Until SIGTERM, or until the lease is lost: then the process ends, and with it any work half decided."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with await KubeClient.from_environment() as client:
        context = Context(
            client,
            Caches(client),
            Agents(client),
            Recorder(client, "pgwarden-controller", settings.pod_name),
            settings,
        )
        state = health.State()
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(health.serve(state, settings.http_port)),
            *(asyncio.create_task(cache.run()) for cache in context.caches.all()),
            asyncio.create_task(_lead(context, state)),
            asyncio.create_task(stop.wait()),
        ]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        await context.agents.close()
        return _exit_code(stop, done)


def _exit_code(stop: asyncio.Event, done: Iterable[asyncio.Task[Any]]) -> int:
    if stop.is_set():
        log.info("stopped by signal")
        return 0
    for task in done:
        if not task.cancelled() and task.exception() is not None:
            log.error("a task that must not end has ended", exc_info=task.exception())
    return 1


async def _lead(context: Context, state: health.State) -> None:
    await wait_synced(*context.caches.all())
    state.ready = True
    identity = f"{context.settings.pod_name}-{uuid.uuid4().hex[:6]}"
    log.info("caches are in step, asking for the lease", identity=identity)

    async def work() -> None:
        metrics.LEADER.set(1)
        log.info("leading", identity=identity)
        async with asyncio.TaskGroup() as group:
            group.create_task(steady.run("the webhook's certificate", lambda: webhook_certificate.keep(context)))
            group.create_task(Manager(context).run())

    settings, timing = context.settings, leadership.Timing(context.settings.lease_seconds)
    await leadership.run(context.client, settings.namespace, settings.lease, identity, work, timing)
    metrics.LEADER.set(0)
