"""HTTP around the handlers: reviews over TLS on one port, probes and metrics in plain text on another.

The two are apart so that a liveness probe never waits behind a handshake, and no certificate can fail it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pgwarden.webhook import telling
from pgwarden.webhook.connection import Connection
from pgwarden.webhook.review import Handler

READ_SECONDS = 10.0  # within which a body must have come; the API server sends it at once
_SHUTDOWN_SECONDS = 10.0  # for reviews being answered when the server stops


class Server:
    """`start()` listens; `drain()` makes it not ready and hands its connections back; `stop()` ends it."""

    def __init__(self, handlers: Mapping[str, Handler], ready: Callable[[], Mapping[str, bool]]) -> None:
        """*handlers* by path; *ready* names what must be true before the pod takes part."""
        self._draining = False
        self._ready = ready
        self._handlers = handlers
        self._connections: set[Connection] = set()
        self._runner: web.AppRunner | None = None
        self._reviews: asyncio.Server | None = None

    async def start(self, tls: ssl.SSLContext, port: int, http_port: int, host: str | None = None) -> None:
        self._runner = web.AppRunner(self.probes(), access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, http_port).start()
        loop = asyncio.get_running_loop()
        self._reviews = await loop.create_server(self._connection, host, port, ssl=tls, backlog=1024)

    def _connection(self) -> Connection:
        connection = Connection(self._handlers, telling.tell, self._connections, READ_SECONDS)
        connection.draining = self._draining
        return connection

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: probes, then reviews."""
        if self._runner is None or self._reviews is None:
            return []
        return [self._runner.addresses[0][:2], self._reviews.sockets[0].getsockname()[:2]]

    @property
    def draining(self) -> bool:
        return self._draining

    @draining.setter
    def draining(self, draining: bool) -> None:
        """Every answer from now on ends its connection: the API server opens its next one to another replica."""
        self._draining = draining
        for connection in self._connections:
            connection.draining = draining

    async def stop(self) -> None:
        if self._reviews is not None:
            self._reviews.close()
        for connection in list(self._connections):
            connection.close_when_idle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SHUTDOWN_SECONDS):
                while any(connection.busy for connection in self._connections):  # noqa: ASYNC110  many, and for seconds
                    await asyncio.sleep(0.01)
        await asyncio.sleep(0)  # the last answers are told of once they are sent
        telling.flush()
        if self._runner is not None:  # probes last
            await self._runner.cleanup()

    def probes(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/livez", self._live)
        app.router.add_get("/readyz", self._readiness)
        app.router.add_get("/metrics", self._metrics)
        return app

    async def _live(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readiness(self, _: web.Request) -> web.Response:
        missing = [name for name, there in self._ready().items() if not there]
        if self.draining:
            missing.append("draining")
        if missing:
            return web.Response(status=503, text=f"not ready: {', '.join(missing)}\n")
        return web.Response(text="ok\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
