"""The interface of what serves reviews on the TLS port, and what its two implementations share.

`fast` answers most requests without a web framework and leans on private parts of aiohttp for the rest. `plain` uses
the public aiohttp.web alone: slower, and the way out if a release of aiohttp breaks the fast one.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

from webhook.memory_limit import Room
from webhook.review import Handler, Reply

FAST, PLAIN = "fast", "plain"
SERVERS = (FAST, PLAIN)
#: Called with the path of a review, its reply, and the seconds from the whole body read to the reply made.
Told = Callable[[str, Reply, float], None]

NO_SUCH_PATH = Reply(status=HTTPStatus.NOT_FOUND, body=b'{"error":"no such path"}', outcome="malformed")
NOT_POSTED = Reply(status=HTTPStatus.METHOD_NOT_ALLOWED, body=b'{"error":"a review is posted"}', outcome="malformed")
TOO_SLOW = Reply(
    status=HTTPStatus.REQUEST_TIMEOUT, body=b'{"error":"the body did not come in time"}', outcome="timeout"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What every implementation needs. Times are in seconds."""

    handlers: Mapping[str, Handler]  # by path
    told: Told  # the access log and the metrics
    room: Room = field(default_factory=Room)  # memory that large bodies share
    read: float = 10.0  # within which a body must have come; the API server sends it at once
    read_large: float = 3.0  # the same for a large body, from when there is room for it: others wait for that room
    idle: float = 120.0  # until a connection without a request is closed
    linger: float = 5.0  # in which the rest of a refused body is read and dropped, so that the client sees the refusal


class ReviewServer(Protocol):
    """One TLS port. Every path of `Serving.handlers` is answered, everything else is refused."""

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, once started."""

    async def start(self, host: str | None, port: int, tls: ssl.SSLContext) -> None: ...

    def drain(self) -> None:
        """Serve on, but end each connection with its next answer: the API server then connects to another replica."""

    async def stop(self, seconds: float) -> None:
        """Stop listening, wait at most *seconds* for the reviews that are being read or answered, and close."""
