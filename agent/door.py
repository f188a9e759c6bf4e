"""What works in a Job's pod: its configuration kept in step, and the TLS door beside it, `GET /status` and more."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping

import msgspec
from aiohttp import web

from agent import log
from agent.paths import Paths
from agent.server import Handler, Server, controller_only
from agent.sync import Syncer, source_token
from pgwarden.contract import calls
from pgwarden.contract.calls import Outcome
from pgwarden.contract.status import Status

POLL_SECONDS = 2.0


def application(
    told: Callable[[], Status], orders: Mapping[str, Callable[[], Outcome]] | None = None
) -> web.Application:
    """*orders*: by their path, what is done when the controller posts there."""
    app = web.Application(middlewares=[controller_only], client_max_size=65536)

    async def status(_request: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(told()), content_type="application/json")

    app.router.add_get(f"/{calls.STATUS}", status)
    for path, order in (orders or {}).items():
        app.router.add_post(f"/{path}", _posted(order))
    return app


def _posted(order: Callable[[], Outcome]) -> Handler:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=msgspec.json.encode(order()), content_type="application/json")

    return answer


class Configuration:
    """CONF_DIR from SOURCE_DIR, for as long as the work takes: certificates are renewed meanwhile.

    *conf_key* is host.conf or pod.conf; *section* is appended to it.
    """

    def __init__(self, paths: Paths, conf_key: str, section: str = "") -> None:
        self._paths = paths
        self._syncer = Syncer(paths, conf_key, section)
        self._log = log.get("door")
        self._said = ""
        self.digest = ""
        self.missing: tuple[str, ...] = ()
        self.ready = asyncio.Event()

    async def keep(self, server: Server) -> None:
        """Until cancelled. A door that does not open stops nothing."""
        token: str | None = None
        while True:
            seen = source_token(self._paths.source)
            if seen != token and await self._sync(server):
                token = seen
            await asyncio.sleep(POLL_SECONDS if self.ready.is_set() else 0.2)

    async def _sync(self, server: Server) -> bool:
        try:
            planned, _ = self._syncer.sync()
            self.missing = planned.missing
            if planned.missing:
                return False
            self.digest = planned.digest
            self.ready.set()
        except (OSError, ssl.SSLError) as error:
            self._say(f"the configuration cannot be used: {error}")
            return False
        try:
            await server.reload()
        except (OSError, ssl.SSLError) as error:
            self._say(f"no status can be asked for: {error}")
            return False
        return True

    def _say(self, message: str) -> None:
        if message != self._said:
            self._log.warning(message)
        self._said = message


@contextlib.asynccontextmanager
async def kept(configuration: Configuration, server: Server) -> AsyncIterator[None]:
    task = asyncio.create_task(configuration.keep(server))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.close()
