"""The plain server of reviews: the public aiohttp.web, at 2 to 3 times the CPU of the fast one and free of its risk.

What it decides, it decides as connection.py does, so that both give the same answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from contextlib import AsyncExitStack
from http import HTTPStatus

from aiohttp import StreamReader, web

from webhook import review
from webhook.memory_limit import SMALL
from webhook.review import Handler, Reply
from webhook.serving import NO_SUCH_PATH, NOT_POSTED, TOO_SLOW, Serving

_CLOSE_SECONDS = 0.5  # for the last bytes of answers, and again for what is cancelled


class PlainServer:
    """A ReviewServer."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._draining = False
        self._busy = 0  # requests whose body is being read, or whose answer is being made
        self._runner: web.ServerRunner | None = None
        self._site: web.TCPSite | None = None

    @property
    def address(self) -> tuple[str, int]:
        assert self._runner is not None
        host, port = self._runner.addresses[0][:2]
        return host, port

    async def start(self, host: str | None, port: int, tls: ssl.SSLContext) -> None:
        server = web.Server(
            self._serve,
            handler_cancellation=True,  # a client that is gone keeps no room
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=self._serving.idle,
            lingering_time=self._serving.linger,
            read_bufsize=SMALL,  # of a body that waits for room, little more than twice this is read
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=_CLOSE_SECONDS)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, host, port, ssl_context=tls, backlog=1024)
        await self._site.start()

    def drain(self) -> None:
        self._draining = True

    async def stop(self, seconds: float) -> None:
        self._draining = True
        site, self._site = self._site, None
        if site is None or self._runner is None:
            return
        await site.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._busy:  # noqa: ASYNC110  the runner would wait for them, but read no body to its end
                    await asyncio.sleep(0.01)
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self._busy += 1
        try:
            path = request.raw_path.partition("?")[0]
            handler = self._serving.handlers.get(path)
            if handler is None:
                return self._response(NO_SUCH_PATH, last=True)
            reply, seconds = await self._reply(request, handler)
        finally:
            self._busy -= 1
        asyncio.get_running_loop().call_soon(self._serving.told, path, reply, seconds or 0.0)
        return self._response(reply, last=seconds is None)

    async def _reply(self, request: web.BaseRequest, handler: Handler) -> tuple[Reply, float | None]:
        """The reply, and the seconds that the handler took; None where it was not asked."""
        if request.method != "POST":
            return NOT_POSTED, None
        async with AsyncExitStack() as room:  # kept until the answer is made
            try:
                async with asyncio.timeout(self._serving.read) as limit:
                    body = await self._body(request, room, limit)
            except TimeoutError:
                return TOO_SLOW, None
            except web.RequestPayloadError as error:
                return review.malformed(f"body: {error}"), None
            if isinstance(body, Reply):
                return body, None
            began = time.perf_counter()
            reply = review.answer(body, handler)
            if not isinstance(reply, Reply):
                reply = await reply
            return reply, time.perf_counter() - began

    async def _body(self, request: web.BaseRequest, room: AsyncExitStack, limit: asyncio.Timeout) -> bytes | Reply:
        """The whole body, once there is room for it; a Reply where it is too large."""
        declared = request.content_length
        asks = request.headers.get("Expect", "").lower() == "100-continue"
        if (declared or 0) > review.MAX_BODY:
            head = b"" if asks else await _read(request.content, review.HEAD)
            return review.too_large(head, declared or 0)
        size = declared if declared is not None else review.MAX_BODY if request.can_read_body else 0
        if size > SMALL:
            await room.enter_async_context(self._serving.room.of(size))
            seconds = min(self._serving.read, self._serving.read_large)
            limit.reschedule(asyncio.get_running_loop().time() + seconds)
        if asks and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await _read(request.content, review.MAX_BODY + 1)
        return body if len(body) <= review.MAX_BODY else review.too_large(body[: review.HEAD], declared or 0)

    def _response(self, reply: Reply, *, last: bool) -> web.Response:
        headers = {"Server": "pgwarden"}  # in place of the versions of Python and aiohttp
        if reply.status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "POST"
        response = web.Response(status=reply.status, body=reply.body, headers=headers, content_type="application/json")
        if last or self._draining:
            response.force_close()
        return response


async def _read(content: StreamReader, most: int) -> bytes:
    """Up to the end; no further than *most* bytes by much."""
    parts, size = [], 0
    while size < most and (part := await content.readany()):
        parts.append(part)
        size += len(part)
    return b"".join(parts)
