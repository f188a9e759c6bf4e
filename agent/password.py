"""The superuser's password, where PostgreSQL's container is given it as a file (POSTGRES_PASSWORD_FILE)."""

from __future__ import annotations

import os

MOST = 4096  # bytes


def from_file(path: str) -> None:
    """Into PGPASSWORD, which libpq reads in all that the agent runs. What is there already stays."""
    if not path or os.environ.get("PGPASSWORD"):
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:  # PostgreSQL says it better, where it wants one
        return
    with os.fdopen(descriptor, "rb") as file:
        text = file.read(MOST).decode("utf-8", "replace").rstrip("\r\n")
    if text and "\x00" not in text:
        os.environ["PGPASSWORD"] = text
