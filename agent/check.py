"""The exec probe. It runs every few seconds beside each PostgreSQL, so it imports next to nothing."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from pgwarden.api import names

#: By role, which ports are to accept.
PORTS = {
    "postgres": (names.PORT_PGBACKREST, names.PORT_AGENT),
    "repository": (names.PORT_AGENT,),
}
SECONDS = 3.0


def check(
    environment: Mapping[str, str],
    source: Path = Path(names.SOURCE_DIR),
    ports: tuple[int, ...] | None = None,
) -> int:
    """0 while the role's ports accept, or *ports* in their place.

    Beside PostgreSQL also as long as the Repository has given no configuration yet: WAL waits in pg_wal then, and
    PostgreSQL's start must not.
    """
    role = environment.get("PGWARDEN_ROLE", "postgres")
    if role == "postgres" and not all((source / key).is_file() for key in (names.KEY_POD_CONF, names.KEY_TLS_KEY)):
        sys.stdout.write("waiting for its Repository\n")
        return 0
    for port in PORTS.get(role, PORTS["postgres"]) if ports is None else ports:
        try:
            with socket.socket() as connection:
                connection.settimeout(SECONDS)
                connection.connect(("127.0.0.1", port))
        except OSError as error:
            sys.stdout.write(f"port {port}: {error}\n")
            return 1
    return 0
