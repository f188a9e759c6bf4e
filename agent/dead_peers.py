"""Peers that acknowledge nothing any more, by the kernel's own count of what it has sent again.

A peer whose node is lost sends no reset. Keep-alives notice that in a minute, but the kernel sends none while it waits
for an acknowledgement: then it sends again and again, for a quarter of an hour (tcp_retries2), and pgBackRest waits
with it. /proc/net/tcp of the pod tells how often that was (column retrnsmt, in proc_net_tcp.rst of Linux).
"""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from pathlib import Path

from pgwarden.api import names

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
LOOK_SECONDS = 5.0
#: Each comes after twice the pause of the one before, the first after 0.2 s or more: so many take 51 s or more.
TRIES = 8
_REMOTE, _TRIED = 2, 6  # columns


def silent(table: str, port: int = names.PORT_PGBACKREST) -> list[str]:
    """Addresses (`10.244.1.7`) that a connection to *port* has sent the same to TRIES times. *table*: of /proc/net."""
    found = []
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) <= _TRIED:
            continue
        address, _, number = columns[_REMOTE].partition(":")
        if number == f"{port:04X}" and int(columns[_TRIED], 16) >= TRIES:
            found.append(str(_address(address)))
    return found


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The kernel prints the words of an address as numbers of this machine's byte order."""
    words = [bytes.fromhex(text[at : at + 8]) for at in range(0, len(text), 8)]
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    address = ipaddress.ip_address(packed)
    return getattr(address, "ipv4_mapped", None) or address


async def wait_for_one() -> str:
    """The address of the first one that is seen."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        for table in TABLES:
            try:
                found = silent(table.read_text("ascii"))
            except OSError:
                continue  # no IPv6
            if found:
                return found[0]
