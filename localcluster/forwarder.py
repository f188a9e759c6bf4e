"""Carries TCP connections from the host into a cluster's network namespace.

A socket belongs to the namespace it was made in. The parent makes the
listening sockets on the host and hands them down; this program is then started
through nsenter, so that every connection it opens itself is made inside the
namespace. One process, no veth pair, no rule on the host.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

_CHUNK = 65536


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction and pass the half-close on: `kubectl exec` relies on it."""
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (ConnectionError, OSError):
        writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: tuple[str, int]) -> None:
    try:
        far_reader, far_writer = await asyncio.open_connection(*address)
    except OSError:
        writer.close()
        return
    try:
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
    finally:
        for end in (writer, far_writer):
            end.close()
            with contextlib.suppress(ConnectionError, OSError):
                await end.wait_closed()


async def serve(routes: list[tuple[socket.socket, tuple[str, int]]]) -> None:
    """Accept on every listening socket for ever."""
    servers = []
    for listener, address in routes:

        async def handle(
            reader: asyncio.StreamReader,
            writer: asyncio.StreamWriter,
            to: tuple[str, int] = address,
        ) -> None:
            await _carry(reader, writer, to)

        servers.append(await asyncio.start_server(handle, sock=listener))
    await asyncio.gather(*(server.serve_forever() for server in servers))


def main(arguments: list[str]) -> None:
    """Arguments: FD=HOST:PORT for each inherited listening socket."""
    routes = []
    for argument in arguments:
        descriptor, target = argument.split("=", 1)
        host, port = target.rsplit(":", 1)
        routes.append((socket.socket(fileno=int(descriptor)), (host, int(port))))
    asyncio.run(serve(routes))


if __name__ == "__main__":
    main(sys.argv[1:])
