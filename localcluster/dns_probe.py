"""Asks a DNS server for one name until it answers; run inside the cluster's namespace.

Started as a file of its own through nsenter, so it imports nothing of the package.
"""

from __future__ import annotations

import socket
import struct
import sys
import time


def query(name: str) -> bytes:
    """A recursive A query with a fixed id."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">6H", 0x5157, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)


def answered(reply: bytes) -> bool:
    """Success and at least one record."""
    if len(reply) < 12:
        return False
    ident, flags, _, answers = (int(word) for word in struct.unpack(">4H", reply[:8]))
    return ident == 0x5157 and flags & 0xF == 0 and answers > 0


def ask(server: str, port: int, name: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(0.5)
        try:
            connection.sendto(query(name), (server, port))
            return answered(connection.recv(2048))
        except OSError:
            return False


def main(server: str, port: str, name: str, limit: str) -> int:
    deadline = time.monotonic() + float(limit)
    while time.monotonic() < deadline:
        if ask(server, int(port), name):
            return 0
        time.sleep(0.1)
    print(f"{server}:{port} gave no address for {name} within {limit} s", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
