"""`python3 -m webhook`: put the parts together, serve until SIGTERM, drain, go."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import structlog
import uvloop

from pgwarden import logs
from pgwarden.contract import chart
from pgwarden.injection import settings as settings_module
from pgwarden.injection.pods import Pod
from pgwarden.injection.settings import Settings
from pgwarden.kube.client import KubeClient
from pgwarden.rules import Verdict
from webhook.cache import Store
from webhook.certificates import Certificates
from webhook.handlers import Deletable, Handlers, Judge
from webhook.requester import AccessReviews, Requester
from webhook.review import Typed
from webhook.server import Server
from webhook.serving import FAST, SERVERS
from webhook.workloads import Workloads

log = structlog.get_logger()


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Of the shell around the core."""

    port: int = 10250  # one of two ports that private control planes may open to nodes
    http_port: int = 8080
    tls_secret: str = "pgwarden-webhook-tls"  # noqa: S105  a name
    drain_seconds: float = 2.0  # after SIGTERM: the chart's preStop has waited for the endpoints already
    server: str = FAST
    check_requester: bool = True
    controller: str = "pgwarden-controller"  # its service account, in our namespace
    postgres_images: tuple[str, ...] = ()  # that everybody may choose
    watch_namespaces: tuple[str, ...] = ()  # empty: all


def main(argv: list[str]) -> int:
    logs.configure(os.environ.get("PGWARDEN_LOG_LEVEL", "info"))
    try:
        options = _options(argv, os.environ)
        settings = settings_module.from_environment(os.environ)
    except ValueError as error:
        sys.stderr.write(f"pgwarden webhook: {error}\n")
        return 2
    uvloop.run(serve(settings, options))
    return 0


def _options(argv: list[str], environment: Mapping[str, str]) -> Options:
    default = Options()
    parser = argparse.ArgumentParser(prog="pgwarden webhook", description="The admission webhook.")
    port = int(environment.get("PGWARDEN_PORT") or default.port)
    http_port = int(environment.get("PGWARDEN_HTTP_PORT") or default.http_port)
    parser.add_argument("--port", type=int, default=port, help="of reviews, TLS")
    parser.add_argument("--http-port", type=int, default=http_port, help="of probes and metrics")
    parser.add_argument("--drain-seconds", type=float, default=default.drain_seconds, help="to serve on after SIGTERM")
    given = parser.parse_args(argv)
    return Options(
        port=given.port,
        http_port=given.http_port,
        tls_secret=environment.get("PGWARDEN_TLS_SECRET") or default.tls_secret,
        drain_seconds=given.drain_seconds,
        server=_server(environment.get("PGWARDEN_WEBHOOK_SERVER") or default.server),
        check_requester=(environment.get("PGWARDEN_CHECK_REQUESTER") or "true") == "true",
        controller=environment.get("PGWARDEN_CONTROLLER_ACCOUNT") or default.controller,
        postgres_images=tuple(filter(None, (environment.get("PGWARDEN_POSTGRES_IMAGES") or "").split(","))),
        watch_namespaces=chart.watch_namespaces(environment),
    )


def _server(name: str) -> str:
    if name not in SERVERS:
        raise ValueError(f"PGWARDEN_WEBHOOK_SERVER must be one of {', '.join(SERVERS)}, not {name!r}")
    return name


class Parts(NamedTuple):
    server: Server
    store: Store
    certificates: Certificates


def assemble(client: KubeClient, settings: Settings, options: Options, judge: Callable[[Store], Judge]) -> Parts:
    """Everything, bound together and not yet started."""
    store = Store(client, options.watch_namespaces)
    certificates = Certificates(client, settings.namespace, options.tls_secret)
    handlers = Handlers(
        settings,
        store.find_repository,
        judge(store),
        store.repository,
        deletions(store),
        store.asks,
        requester(client, settings, options),
        store.quotas,
    )
    server = Server(
        {
            "/mutate": Typed(handlers.mutate_pods, Pod),
            "/check": handlers.check_kinds,
            "/validate": handlers.validate_kinds,
            "/workloads": Workloads(settings, store.find_repository, store.repository).check,
        },
        lambda: {"certificate": certificates.loaded, "caches": store.synced},
        options.server,
    )
    return Parts(server, store, certificates)


async def serve(settings: Settings, options: Options) -> None:
    """Returns after SIGTERM or SIGINT; raises what broke a watch for good, so that the kubelet starts us again."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with await KubeClient.from_environment() as client:
        server, store, certificates = assemble(client, settings, options, lambda each: rules(each, settings))
        await server.start(certificates.context, options.port, options.http_port)
        log.info("serving", port=options.port, http_port=options.http_port, server=options.server, image=settings.image)
        _keep_freed_memory()
        gc.freeze()  # what is there now stays: collections need not look at it again
        gc.set_threshold(50_000, 20, 100)  # reviews leave no cycles behind; watches leave few
        waiting = [asyncio.create_task(each) for each in (store.run(), certificates.cache.run(), stopping.wait())]
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            await _drain(server, options.drain_seconds)
            for task in done:
                task.result()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


def _keep_freed_memory() -> None:
    """uvloop's TLS takes a quarter of a MB for each record that it sends, and shrinks it at once.

    glibc maps and unmaps that anew each time, until it has seen a larger piece freed: then it keeps such in its heap.
    """
    bytearray(1024 * 1024)


async def _drain(server: Server, seconds: float) -> None:
    server.drain()
    log.info("draining", seconds=seconds)
    await asyncio.sleep(seconds)
    await server.stop()
    log.info("stopped")


def requester(client: KubeClient, settings: Settings, options: Options) -> Requester | None:
    """Who asks whether the authors of objects may use what they name; None where the operator does not want that."""
    if not options.check_requester:
        return None
    controller = f"system:serviceaccount:{settings.namespace}:{options.controller}"
    return Requester(AccessReviews(client), controller, options.postgres_images)


def deletions(store: Store) -> Deletable:
    """Whether a Repository may be deleted, by what the caches know of its use."""
    from pgwarden.rules import deletion

    return lambda obj, user: deletion.judge(obj, lookup=store, user=user)


def rules(store: Store, settings: Settings) -> Judge:
    """The rules of our kinds, bound to what they look things up in and to the operator's defaults."""
    from pgwarden import rules as of_kinds
    from pgwarden.api import schema

    _ = schema.validators(), schema.types()  # read and compiled now: some 100 ms that the first review would wait for
    schema.crds.cache_clear()  # which nothing here looks at again

    def judge(obj: dict[str, Any], old: dict[str, Any] | None, now: datetime) -> Verdict:
        return of_kinds.validate(obj, old=old, lookup=store, now=now, defaults=settings.defaults)

    return judge
