"""One connection of the API server: HTTP/1.1 by aiohttp's parser, answers in the order of the questions.

An answer that needs no waiting is given in the same turn of the event loop, without a task and without the request and
response objects of a web framework: those cost several times what the answer does.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any, cast

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.streams import StreamReader

from webhook import review
from webhook.memory_limit import SMALL
from webhook.review import Handler, Reply
from webhook.serving import NO_SUCH_PATH, NOT_POSTED, TOO_SLOW, Serving

_PIPELINED = 16  # questions that may wait for their turn
_FRAMING = rb"content-length|transfer-encoding|connection|expect|upgrade|te|trailer"
_HEADER = rb"(?:\r\n(?!(?i:" + _FRAMING + rb")[ \t]*:)[A-Za-z0-9-]+: [ -~]*)*"
#: A request line and headers: Content-Length is there once, and no other says how long a body is or what follows it.
_PLAIN = re.compile(
    rb"POST (/[a-z]+)(?:\?[!-~]*)? HTTP/1\.1" + _HEADER + rb"\r\n(?i:content-length): ([0-9]{1,8})" + _HEADER
)
_PLAIN_HEAD = 4096  # bytes


class Connection(BaseProtocol):
    """Part of *connections* as long as it is open."""

    def __init__(self, serving: Serving, connections: set[Connection]) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(loop)
        self.draining = False  # the answers to come are the last
        self._serving, self._connections = serving, connections
        self._handlers, self._told, self._room = serving.handlers, serving.told, serving.room
        self._http: HttpRequestParser | None = None
        self._questions: deque[tuple[RawRequestMessage, StreamReader]] = deque()
        self._promised: asyncio.Task[None] | None = None
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None  # for what was begun and is not there yet
        self._idle: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._part: list[bytes] = []  # of a plain question
        self._missing = 0  # bytes of it
        self._taken = 0  # bytes of room that are this connection's
        self._wanted = 0  # bytes that it waits for: until then nothing more is read
        self._flooded = False  # there is more of a body than aiohttp's streams would hold
        self._behind = False  # a question waits for the answer that is promised before it: nothing more is read

    @property
    def busy(self) -> bool:
        return bool(self._questions) or bool(self._part) or self._promised is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.add(self)
        self._heard = self._loop.time()
        self._idle = self._loop.call_later(self._serving.idle, self._look_after)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._connections.discard(self)
        self._closing = True
        for timer in (self._timer, self._idle):
            if timer is not None:
                timer.cancel()
        if self._promised is not None:
            self._promised.cancel()
        self._questions.clear()
        self._part.clear()
        self._leave()
        self._http = None  # it knows this connection: so the two are gone now, and not when garbage is next looked for

    def pause_writing(self) -> None:
        """A client that does not read its answers is not heard either."""
        super().pause_writing()
        cast(asyncio.Transport, self.transport).pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._listen()

    def pause_reading(self) -> None:
        """Called by aiohttp's stream of a body that has come in too many chunks."""
        self._flooded = True

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Called by aiohttp's stream at each read, to parse what was held back: here nothing ever is.

        The base class calls `data_received`. In the midst of an answer that would give the next one first.
        """

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._heard = self._loop.time()
        if self._http is None:  # once the parser was needed and has seen a byte, all are for it
            if self._part:
                self._part.append(data)
                self._missing -= len(data)
                if self._missing > 0:
                    return
                data = b"".join(self._part)
                self._part = []
            if self._is_plain(data):
                return
            self._http = self._new_parser()
        try:
            found, upgraded, _ = self._http.feed_data(data)
        except HttpProcessingError as error:
            self._give("", review.malformed(f"HTTP: {error.message}"), last=True)
            return
        self._questions += found
        if self._flooded:
            self._give("", review.malformed("HTTP: too many chunks"), last=True)
        elif upgraded or len(self._questions) > _PIPELINED or self._held() > 2 * review.MAX_BODY:
            self._give("", review.malformed("HTTP: no upgrades, and no more than a few questions at once"), last=True)
        else:
            self._go_on()
            if self._questions and self._promised is not None and not self._behind:
                # What comes behind a promised answer has no room yet: no more of it is read than this.
                self._behind = True
                cast(asyncio.Transport, self.transport).pause_reading()

    def _listen(self) -> None:
        """Read on, unless there is a reason not to."""
        if self.transport is not None and not (self._wanted or self._behind or self._paused):
            self.transport.resume_reading()

    def close_when_idle(self) -> None:
        self.draining = True
        if not self.busy:
            self._close()

    def _new_parser(self) -> HttpRequestParser:
        return HttpRequestParser(self, self._loop, review.MAX_BODY + 65_536, auto_decompress=False)

    def _is_plain(self, data: bytes) -> bool:
        """Answer *data* if it is one plain question, or wait for the rest of it.

        That is what the API server sends, nearly always. Whatever is in any way else (another header that frames a
        body, half a head, two questions at once) is the parser's, and so is all that follows it.
        """
        end = data.find(b"\r\n\r\n", 0, _PLAIN_HEAD)
        plain = _plain(data[:end]) if end >= 0 and self._promised is None else None
        if plain is None:
            return False
        path, length = plain
        handler = self._handlers.get(path)
        large = length > review.MAX_BODY
        missing = end + 4 + (review.HEAD if large else length) - len(data)
        if handler is None or (missing < 0 and not large):
            return False
        if missing > 0:
            self._part, self._missing = [data], missing
            self._wait(path, length=length)
        elif large:
            self._stop_waiting()
            self._give(path, review.too_large(data[end + 4 :], length), last=True)
        else:
            self._stop_waiting()
            self._answer(path, handler, data[end + 4 :], last=False)
        return True

    def _go_on(self) -> None:
        while self._questions and self._promised is None and not self._closing:
            head, body = self._questions[0]
            path = head.path.partition("?")[0]
            handler = self._handlers.get(path)
            refusal = _refusal(head, body, handler)
            if refusal is not None:
                self._give(path if handler else "", refusal, last=True)
                return
            if _is_too_large(head, body):
                self._closing = True  # so that nothing more is read, as room is made by this
                length = int(head.headers.get("Content-Length", "0"))
                self._give(path, review.too_large(body.read_nowait(review.HEAD), length), last=True)
                return
            if not body.is_eof():
                self._wait(path, head, _length(head))
                return
            self._stop_waiting()
            self._questions.popleft()
            self._answer(path, cast(Handler, handler), body.read_nowait(), last=head.should_close)

    def _answer(self, path: str, handler: Handler, body: bytes, *, last: bool) -> None:
        began = time.perf_counter()
        reply = review.answer(body, handler)
        if isinstance(reply, Reply):
            self._give(path, reply, last=last, began=began)
            return

        async def later() -> None:
            given = await reply
            self._promised = None
            self._give(path, given, last=last, began=began)
            self._go_on()
            if self._behind and self._promised is None:
                self._behind = False
                self._listen()

        self._promised = self._loop.create_task(later())

    def _give(self, path: str, reply: Reply, *, last: bool, began: float | None = None) -> None:
        seconds = time.perf_counter() - began if began is not None else 0.0
        if path:
            self._loop.call_soon(self._told, path, reply, seconds)  # once the answer is on its way
        if self.transport is None:
            return
        last = last or self.draining
        self.transport.write(
            b"%b%d\r\n\r\n%b" % (_head(reply.status, last, int(time.time())), len(reply.body), reply.body)
        )
        self._leave()
        if last:
            self._closing = True
            unread = began is None
            self._timer = self._loop.call_later(self._serving.linger if unread else 0.0, self._close)

    def _wait(self, path: str, head: RawRequestMessage | None = None, length: int = 0) -> None:
        if self._timer is not None:
            return
        self._timer = self._loop.call_later(self._serving.read, self._too_slow, path)
        if SMALL < length <= review.MAX_BODY and not self._taken and not self._wanted:
            if self._room.take(length, self._enter):
                self._taken = length
                self._hurry(path)
            else:
                self._wanted = length
                cast(asyncio.Transport, self.transport).pause_reading()
        if head is not None and head.headers.get("Expect", "").lower() == "100-continue":
            cast(asyncio.Transport, self.transport).write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _enter(self) -> None:
        """There is room for what has been waited for."""
        self._taken, self._wanted = self._wanted, 0
        if self.transport is not None:
            self._hurry("")
            self._listen()

    def _hurry(self, path: str) -> None:
        """Who has taken room must not keep it from others."""
        if self._timer is not None:
            self._timer.cancel()
        seconds = min(self._serving.read, self._serving.read_large)
        self._timer = self._loop.call_later(seconds, self._too_slow, path)

    def _leave(self) -> None:
        if self._wanted:
            self._wanted = 0
            self._room.forget(self._enter)
        taken, self._taken = self._taken, 0
        if taken:
            self._room.give_back(taken)

    def _held(self) -> int:
        """Bytes of all questions that are here."""
        return sum(body.total_bytes for _, body in self._questions)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self, path: str) -> None:
        self._give(path, TOO_SLOW, last=True)

    def _look_after(self) -> None:
        """One timer for the life of the connection: it looks when something was last heard."""
        left = self._heard + self._serving.idle - self._loop.time()
        if left <= 0 and not self.busy:
            self._close()
        else:
            self._idle = self._loop.call_later(max(left, 1.0), self._look_after)

    def _close(self) -> None:
        self._closing = True
        if self.transport is not None:
            self.transport.close()


def _refusal(head: RawRequestMessage, body: StreamReader, handler: Handler | None) -> Reply | None:
    """What is known to be wrong before all of the body is there, but for its size."""
    if handler is None:
        return NO_SUCH_PATH
    if head.method != "POST":
        return NOT_POSTED
    error: Any = body.exception()
    return None if error is None else review.malformed(f"body: {error}")


def _is_too_large(head: RawRequestMessage, body: StreamReader) -> bool:
    """Known once enough is there to say whose it is; of what is only sent when it is asked for, at once."""
    if max(int(head.headers.get("Content-Length", "0")), body.total_bytes) <= review.MAX_BODY:
        return False
    return body.total_bytes >= review.HEAD or "Expect" in head.headers


def _length(head: RawRequestMessage) -> int:
    """Bytes of the body; where it comes in chunks, as many as there may be."""
    return int(head.headers.get("Content-Length", review.MAX_BODY))


@lru_cache(maxsize=128)
def _plain(head: bytes) -> tuple[str, int] | None:
    """Path and length (bytes) of a plain question; None of any other. The heads of one client's are mostly the same."""
    found = _PLAIN.fullmatch(head)
    return None if found is None else (found[1].decode("ascii"), int(found[2]))


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@lru_cache(maxsize=8)
def _head(status: int, last: bool, second: int) -> bytes:
    """Up to the length."""
    close = "Connection: close\r\n" if last else ""
    allow = "Allow: POST\r\n" if status == HTTPStatus.METHOD_NOT_ALLOWED else ""
    date = formatdate(second, usegmt=True)
    return (
        f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: application/json\r\nDate: {date}\r\n"
        f"{close}{allow}Content-Length: "
    ).encode("ascii")
