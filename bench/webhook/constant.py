"""What the machine, TLS, the event loop and the load generator take by themselves: every review gets the same answer.

Nothing is parsed but the length of the body. No webhook in Python can be faster than this one.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import cast

import uvloop

from webhook import certificates

_PATCH = b'"allowed":true,"patch":"' + b"x" * 10_000 + b'"'  # as long as ours


class Constant(asyncio.Protocol):
    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        at = self._received.find(b"Content-Length: ")
        if end < 0 or len(self._received) < end + 4 + int(self._received[at + 16 : self._received.index(b"\r", at)]):
            return
        mark = self._received.index(b"beef")  # the end of the review's uid, which the load generator looks for
        body = b'{"uid":"%b",%b}' % (self._received[mark - 8 : mark + 4], _PATCH)
        last = b"Connection: close" in self._received
        self._received = b""
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        if last:
            self._transport.close()


async def serve(port: int, pair: bytes) -> None:
    tls = certificates.server_context()
    certificates.load_pair(tls, pair)
    server = await asyncio.get_running_loop().create_server(Constant, "127.0.0.1", port, ssl=tls)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), os.environ["BENCH_PAIR"].encode()))
