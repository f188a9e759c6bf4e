"""TCP connections whose death the kernel notices, though nobody sends anything on them."""

from __future__ import annotations

import contextlib
import socket

from aiohttp import AddrInfoType

IDLE, INTERVAL, PROBES = 15, 10, 3  # seconds of silence, seconds between probes, and how many may go unanswered
UNACKNOWLEDGED = 30  # seconds that sent bytes may go unacknowledged
#: Some systems lack some of them, or refuse them: without, the kernel's own times hold.
_OPTIONS = {
    "TCP_KEEPIDLE": IDLE,
    "TCP_KEEPINTVL": INTERVAL,
    "TCP_KEEPCNT": PROBES,
    "TCP_USER_TIMEOUT": UNACKNOWLEDGED * 1000,
}


def watched(address: AddrInfoType) -> socket.socket:
    """A socket that fails within 45 s of its peer's going silent: a dropped NAT entry, a dead node, a pulled cable."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS.items():
        option = getattr(socket, name, None)
        if option is not None:
            with contextlib.suppress(OSError):
                made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made
