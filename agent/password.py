"""The superuser's password, where PostgreSQL's container is given it as a file (POSTGRES_PASSWORD_FILE)."""

from __future__ import annotations

import os
from pathlib import Path

from agent import foreign_file

MOST = 4096  # bytes


def from_file(path: str) -> None:
    """Into PGPASSWORD, which libpq reads in all that the agent runs. What is there already stays."""
    if not path or os.environ.get("PGPASSWORD"):
        return
    try:  # a Secret's file is a link
        text = foreign_file.read_text(Path(os.path.realpath(path)), MOST).rstrip("\r\n")
    except OSError:  # PostgreSQL says it better, where it wants one
        return
    if text and "\x00" not in text:
        os.environ["PGPASSWORD"] = text
