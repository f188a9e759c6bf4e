"""A configuration of pgBackRest that knows one storage alone, for commands that end at the first that is away."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from agent.paths import Paths
from pgwarden.pgbackrest import config


def whole(paths: Paths) -> str:
    """The whole configuration, as pgBackRest puts it together. Empty where it cannot be read."""
    files = [paths.conf_file, *sorted(paths.include.glob("*.conf"))]
    with contextlib.suppress(OSError):
        return "\n".join(file.read_text("utf-8") for file in files)
    return ""


def folder(paths: Paths, repo: int) -> Path:
    """A folder with the configuration of storage *repo* alone."""
    return written(paths, f"only-{repo}", config.only(whole(paths), repo))


def written(paths: Paths, name: str, text: str) -> Path:
    """A folder with *text* as the configuration. It lies in memory, as the whole one does."""
    made = paths.conf / name
    (made / "conf.d").mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(made / ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    (made / ".new").replace(made / "pgbackrest.conf")
    return made
