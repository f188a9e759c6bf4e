"""`python3 -m controller`: caches first, then leadership, then the work."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import dataclasses
import gc
import os
import resource
import signal
import sys
import uuid
from collections.abc import Iterable
from typing import Any

import structlog
import uvloop

from controller import health, own_tools, webhook_certificate
from controller.agents import Agents
from controller.context import Caches, Context
from controller.manager import Manager
from controller.repository import metrics as repository_metrics
from controller.runtime import api_metrics, leadership, metrics, steady
from controller.settings import Settings
from pgwarden import logs
from pgwarden.kube.cache import wait_synced
from pgwarden.kube.client import KubeClient
from pgwarden.kube.events import Recorder

log = structlog.get_logger()
#: Requests to the API server on their way at once: objects are worked on by the hundred, most of which wait for agents.
REQUESTS = 32
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
LARGE = 128 * 1024  # bytes; what glibc itself begins with


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
    _allow_files()
    _give_back()
    return uvloop.run(run(dataclasses.replace(settings, pgbackrest=own_tools.pgbackrest_version())))


def _allow_files() -> None:
    """A connection to each agent is kept: a thousand Repositories have two thousand, and the usual limit is 1,024."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _give_back() -> None:
    """Large blocks of memory go back to the system when they are freed. By itself glibc keeps them from the first list
    on, and then takes the buffers of connections, 256 KB each, from what was used before: all of it stays resident.
    """
    with contextlib.suppress(AttributeError, OSError):  # another C library than glibc
        for parameter in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
            ctypes.CDLL(None).mallopt(parameter, LARGE)


async def run(settings: Settings) -> int:
    """Until SIGTERM, or until a task breaks that must not. One that has lost the lease begins anew, caches and all."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    state = health.State()
    probes = asyncio.create_task(health.serve(state, settings.http_port))
    try:
        while True:
            code = await _term(settings, state, stop, probes)
            if code is not None:
                return code
            # Not by ending: the kubelet starts a container that ends again and again five minutes later, and whoever
            # is restored waits for us with PostgreSQL stopped.
            log.warning("the lease is lost: beginning anew")
    finally:
        probes.cancel()
        await asyncio.gather(probes, return_exceptions=True)


async def _term(settings: Settings, state: health.State, stop: asyncio.Event, probes: asyncio.Task[None]) -> int | None:
    """From the first list of the caches to the end of the lease. The exit code; None where there is to be another."""
    told = api_metrics.observe
    async with (
        await KubeClient.from_environment(told=told, at_once=REQUESTS) as client,
        await KubeClient.from_environment(told=told) as unhindered,
    ):
        context = Context(
            client,
            Caches(client, settings.watch_namespaces),
            Agents(client),
            Recorder(client, "pgwarden-controller", settings.pod_name),
            settings,
        )
        leading = asyncio.create_task(_lead(context, state, unhindered))
        own: list[asyncio.Task[Any]] = [
            *(asyncio.create_task(cache.run()) for cache in context.caches.all()),
            leading,
            asyncio.create_task(stop.wait()),
        ]
        done, _ = await asyncio.wait({*own, probes}, return_when=asyncio.FIRST_COMPLETED)
        for task in own:
            task.cancel()
        await asyncio.gather(*own, return_exceptions=True)
        await context.agents.close()
        state.ready = False
        metrics.forget_all()
        repository_metrics.forget_all()
        lost = done == {leading} and not stop.is_set() and leading.exception() is None
        return None if lost else _exit_code(stop, done)


def _exit_code(stop: asyncio.Event, done: Iterable[asyncio.Task[Any]]) -> int:
    if stop.is_set():
        log.info("stopped by signal")
        return 0
    for task in done:
        if not task.cancelled() and task.exception() is not None:
            log.error("a task that must not end has ended", exc_info=task.exception())
    return 1


def _keep_for_good() -> None:
    """What the caches hold goes when it is replaced, without the collector, which would stop all for a second each time
    that it goes through 20,000 Backups.
    """
    gc.unfreeze()  # those of an earlier term
    gc.collect()
    gc.freeze()
    with contextlib.suppress(AttributeError, OSError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)  # what the lists' pages took


async def _lead(context: Context, state: health.State, unhindered: KubeClient) -> None:
    """The lease is renewed by a client of its own, behind none of the work's requests."""
    await wait_synced(*context.caches.all())
    _keep_for_good()
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
    await leadership.run(unhindered, settings.namespace, settings.lease, identity, work, timing)
    metrics.LEADER.set(0)
