"""HTTP around the handlers: reviews over TLS on one port, probes and metrics in plain text on another.

The two are apart so that a liveness probe never waits behind a handshake, and no certificate can fail it.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pgwarden.webhook import metrics, review
from pgwarden.webhook.review import Handler, Reply

READ_SECONDS = 10.0  # within which a body must have come; the API server sends it at once
_SHUTDOWN_SECONDS = 10.0  # for reviews being answered when the server stops
log = structlog.get_logger()
Endpoint = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """`start()` listens; `draining = True` makes it not ready and hands its connections back; `stop()` ends it."""

    def __init__(self, handlers: Mapping[str, Handler], ready: Callable[[], Mapping[str, bool]]) -> None:
        """*handlers* by path; *ready* names what must be true before the pod takes part."""
        self.draining = False
        self._ready = ready
        self._handlers = handlers
        self._runners: list[web.AppRunner] = []

    async def start(self, tls: ssl.SSLContext, port: int, http_port: int, host: str | None = None) -> None:
        await self._listen(self.probes(), http_port, host, None)
        await self._listen(self.reviews(), port, host, tls)

    async def _listen(self, app: web.Application, port: int, host: str | None, tls: ssl.SSLContext | None) -> None:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS, keepalive_timeout=120.0)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, host, port, ssl_context=tls, backlog=1024).start()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: probes, then reviews."""
        return [runner.addresses[0][:2] for runner in self._runners]

    async def stop(self) -> None:
        for runner in reversed(self._runners):  # probes last
            await runner.cleanup()

    def reviews(self) -> web.Application:
        app = web.Application(client_max_size=review.MAX_BODY)
        for path, handler in self._handlers.items():
            app.router.add_post(path, self._endpoint(path, handler))
        return app

    def probes(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/livez", self._live)
        app.router.add_get("/readyz", self._readiness)
        app.router.add_get("/metrics", self._metrics)
        return app

    def _endpoint(self, path: str, handler: Handler) -> Endpoint:
        async def answer(request: web.Request) -> web.StreamResponse:
            began = time.perf_counter()
            reply = await _reply(request, handler)
            seconds = time.perf_counter() - began
            metrics.count(path, reply, seconds)
            _tell(path, reply, seconds)
            response = web.Response(status=reply.status, body=reply.body, content_type="application/json")
            if self.draining:
                response.force_close()  # the API server then opens its next connection to another replica
            return response

        return answer

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


async def _reply(request: web.Request, handler: Handler) -> Reply:
    if request.content_length is not None and request.content_length > review.MAX_BODY:
        return review.too_large()
    try:
        async with asyncio.timeout(READ_SECONDS):
            body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        return review.too_large()
    except TimeoutError:
        return Reply(status=408, body=b'{"error":"the body did not come in time"}', outcome="timeout")
    except (ConnectionError, web.RequestPayloadError) as error:
        return review.malformed(f"body: {error}")
    return await review.respond(body, handler)


def _tell(path: str, reply: Reply, seconds: float) -> None:
    """One line a decision. Fields and rules of faults, never the values: a user may have put a secret there."""
    facts: dict[str, object] = {"path": path, "outcome": reply.outcome, "milliseconds": round(seconds * 1000, 3)}
    request, answer = reply.request, reply.answer
    if request is not None:
        facts |= {
            "uid": request.uid,
            "kind": request.kind.kind,
            "operation": request.operation,
            "namespace": request.namespace,
            "name": request.name,
            "dry_run": bool(request.dry_run),
        }
    if answer is not None:
        facts |= answer.audit
        if answer.faults:
            facts["faults"] = [f"{fault.field} ({fault.rule})" for fault in answer.faults]
    log.info("review", **facts)
