"""The fast server of reviews: an asyncio server whose connections parse HTTP themselves (see connection.py)."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

from webhook.connection import Connection
from webhook.serving import Serving


class FastServer:
    """A ReviewServer."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._connections: set[Connection] = set()
        self._draining = False
        self._listener: asyncio.Server | None = None

    @property
    def address(self) -> tuple[str, int]:
        assert self._listener is not None
        host, port = self._listener.sockets[0].getsockname()[:2]
        return host, port

    async def start(self, host: str | None, port: int, tls: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._connection, host, port, ssl=tls, backlog=1024)

    def drain(self) -> None:
        self._draining = True
        for connection in self._connections:
            connection.draining = True

    async def stop(self, seconds: float) -> None:
        if self._listener is not None:
            self._listener.close()
        self._draining = True
        for connection in list(self._connections):
            connection.close_when_idle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(connection.busy for connection in self._connections):  # noqa: ASYNC110  many, and for seconds
                    await asyncio.sleep(0.01)

    def _connection(self) -> Connection:
        connection = Connection(self._serving, self._connections)
        connection.draining = self._draining
        return connection
