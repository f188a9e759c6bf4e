"""What running servers have written of themselves: `postmaster.pid` in their data directories, and their sockets.

The data directory that the webhook assumed comes first; then the folders beside it, and one or two levels below. All of
it belongs to the tenant: few folders are looked at, little is read, and what is no such file is passed over.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from agent import foreign_file

FILE = "postmaster.pid"
#: Folders in one that are looked at, and bytes of a file that are read. A table's folder is not looked into.
MOST_FOLDERS, MOST_BYTES = 64, 4096
#: Of `postmaster.pid`: where it says what. The last ones come once the server listens.
_DATA, _STARTED, _PORT, _SOCKET = 1, 2, 3, 4
_SOCKET_FILE = re.compile(r"\.s\.PGSQL\.([0-9]{1,5})")


class Server(NamedTuple):
    """One that runs, or was ended without a word."""

    data_directory: str  # as it is called here, and there
    port: int
    socket_directory: str  # its first; empty where it has none
    started: int = 0  # seconds since 1970


def servers(assumed: str) -> list[Server]:
    """Those whose `postmaster.pid` is to be seen from here: that of *assumed* first, then the newest."""
    found: dict[str, Server] = {}
    for folder in _folders(os.path.normpath(assumed)):
        server = read(folder)
        if server is not None:
            found.setdefault(os.path.realpath(folder), server)
    return sorted(found.values(), key=lambda one: (one.data_directory != os.path.normpath(assumed), -one.started))


def read(folder: str) -> Server | None:
    """What `postmaster.pid` in *folder* says, if it was written by a server of that folder, and that listens."""
    with contextlib.suppress(OSError):
        return parse(foreign_file.read_text(Path(folder, FILE), MOST_BYTES), folder)
    return None


def parse(text: str, folder: str) -> Server | None:
    lines = text.splitlines()
    if len(lines) <= _SOCKET or "\0" in text or not _is_number(lines[0]):
        return None
    port, started = lines[_PORT].strip(), lines[_STARTED].strip()
    if not (_is_number(port) and 0 < int(port) < 65536 and lines[_DATA].startswith("/")):
        return None
    if os.path.realpath(lines[_DATA]) != os.path.realpath(folder):
        return None
    socket = lines[_SOCKET] if lines[_SOCKET].startswith("/") else ""
    return Server(os.path.normpath(lines[_DATA]), int(port), socket, int(started) if _is_number(started) else 0)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 16


def ports(socket_directory: str) -> list[int]:
    """Of the sockets in a folder."""
    with contextlib.suppress(OSError), os.scandir(socket_directory) as entries:
        named = (_SOCKET_FILE.fullmatch(entry.name) for entry in islice(entries, MOST_FOLDERS))
        return sorted(int(match[1]) for match in named if match)
    return []


def is_data_directory(folder: str) -> bool:
    return Path(folder, "PG_VERSION").is_file()


def _folders(assumed: str) -> Iterator[str]:
    """Where a server's data may be, the likeliest first."""
    yield assumed
    yield from _below(assumed, 2)
    parent = str(Path(assumed).parent)
    if parent != "/":
        yield parent
        yield from _below(parent, 2)


def _below(folder: str, levels: int) -> Iterator[str]:
    if is_data_directory(folder):
        return  # below it there are tables
    for name in _subfolders(folder):
        yield f"{folder}/{name}"
        if levels > 1:
            yield from _below(f"{folder}/{name}", levels - 1)


def _subfolders(folder: str) -> list[str]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return sorted(one.name for one in islice(entries, MOST_FOLDERS) if one.is_dir(follow_symlinks=False))
    return []
