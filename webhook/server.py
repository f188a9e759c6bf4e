"""HTTP around the handlers: reviews over TLS on one port, probes and metrics in plain text on another.

The two are apart so that a liveness probe never waits behind a handshake, and no certificate can fail it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response
from aiohttp.web_server import Server as HttpServer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from webhook import access_log
from webhook.review import Handler
from webhook.serving import FAST, PLAIN, ReviewServer, Serving

_SHUTDOWN_SECONDS = 10.0  # for reviews being answered when the server stops


def review_server(name: str, serving: Serving) -> ReviewServer:
    """Only the chosen one is imported: aiohttp.web takes memory, and aiohttp's private parts may be gone one day."""
    if name == PLAIN:
        from webhook.plain import PlainServer

        return PlainServer(serving)
    from webhook.fast import FastServer

    return FastServer(serving)


class Server:
    """`start()` listens; `drain()` makes it not ready and hands its connections back; `stop()` ends it."""

    def __init__(
        self, handlers: Mapping[str, Handler], ready: Callable[[], Mapping[str, bool]], reviews: str = FAST
    ) -> None:
        """*handlers* by path; *ready* names what must be true before the pod takes part; *reviews*: one of SERVERS."""
        self._draining = False
        self._ready = ready
        self._reviews = review_server(reviews, Serving(handlers=handlers, told=access_log.tell))
        self._http: HttpServer | None = None  # what answers probes
        self._probes: asyncio.Server | None = None

    async def start(self, tls: ssl.SSLContext, port: int, http_port: int, host: str | None = None) -> None:
        self._http = HttpServer(self._probe, access_log=None)
        self._probes = await asyncio.get_running_loop().create_server(self._http, host, http_port)
        await self._reviews.start(host, port, tls)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: probes, then reviews."""
        if self._probes is None:
            return []
        return [self._probes.sockets[0].getsockname()[:2], self._reviews.address]

    @property
    def draining(self) -> bool:
        return self._draining

    def drain(self) -> None:
        """Every answer from now on ends its connection: the API server opens its next one to another replica."""
        self._draining = True
        self._reviews.drain()

    async def stop(self) -> None:
        await self._reviews.stop(_SHUTDOWN_SECONDS)
        await asyncio.sleep(0)  # the last answers are told of once they are sent
        access_log.flush()
        if self._probes is not None:  # probes last
            self._probes.close()
        if self._http is not None:
            await self._http.shutdown(_SHUTDOWN_SECONDS)

    async def _probe(self, request: BaseRequest) -> Response:
        """Three paths need no router: that of aiohttp, with all that it loads, takes 1.7 MB."""
        if request.method not in {"GET", "HEAD"}:
            return Response(status=405, text="probes and metrics are read\n", headers={"Allow": "GET, HEAD"})
        match request.path:
            case "/livez":
                return Response(text="ok\n")
            case "/readyz":
                return self._readiness()
            case "/metrics":
                return Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
        return Response(status=404, text="there are /livez, /readyz and /metrics\n")

    def _readiness(self) -> Response:
        missing = [name for name, there in self._ready().items() if not there]
        if self.draining:
            missing.append("draining")
        if missing:
            return Response(status=503, text=f"not ready: {', '.join(missing)}\n")
        return Response(text="ok\n")
