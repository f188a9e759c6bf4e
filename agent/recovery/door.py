"""The configuration of a recovery kept in step, and the TLS door beside it: `GET /status`, `POST /recovery-finish`."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable

import msgspec
from aiohttp import web

from agent import log
from agent.paths import Paths
from agent.server import Server, controller_only
from agent.sync import Syncer, source_token
from pgwarden import __version__
from pgwarden.api import names
from pgwarden.contract import calls
from pgwarden.contract.calls import Outcome
from pgwarden.contract.environment import Role
from pgwarden.contract.recovery import Recovery
from pgwarden.contract.status import Status

POLL_SECONDS = 2.0


def application(
    told: Callable[[], Recovery], finish: Callable[[], Outcome], digest: Callable[[], str]
) -> web.Application:
    app = web.Application(middlewares=[controller_only], client_max_size=65536)

    async def status(_request: web.Request) -> web.Response:
        found = Status(role=Role.POSTGRES.value, version=__version__, config_hash=digest(), recovery=told())
        return web.Response(body=msgspec.json.encode(found), content_type="application/json")

    async def recovery_finish(_request: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(finish()), content_type="application/json")

    app.router.add_get(f"/{calls.STATUS}", status)
    app.router.add_post(f"/{calls.RECOVERY_FINISH}", recovery_finish)
    return app


class Configuration:
    """CONF_DIR from SOURCE_DIR, for as long as the recovery takes: certificates are renewed meanwhile."""

    def __init__(self, paths: Paths, section: str) -> None:
        self._paths = paths
        self._syncer = Syncer(paths, names.KEY_POD_CONF, section)
        self._log = log.get("recovery")
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
