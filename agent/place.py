"""Where the PostgreSQL beside us is: what the webhook assumed, until the server itself says otherwise.

Port, socket folder and data directory that were found are what pgBackRest's configuration says. What it cannot follow,
and a data directory that Restores would look for elsewhere, is told in one sentence, with the line to write.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from agent import postmaster
from pgwarden.contract.environment import Instance
from pgwarden.contract.status import Place as Told

LOOPBACK = "127.0.0.1"
_DATA = "(SELECT setting FROM pg_settings WHERE name = 'data_directory') AS data_directory"
#: Columns of the status's question. What the account may not see is NULL.
COLUMNS = f"""
       {_DATA},
       (SELECT setting FROM pg_settings WHERE name = 'unix_socket_directories') AS socket_directories,
"""  # noqa: S608 - both parts are ours
QUESTION = f"SELECT {_DATA}"


class Place:
    def __init__(self, assumed: Instance) -> None:
        self.assumed = assumed
        self._known = assumed  # what pgBackRest is told
        self._host = assumed.socket_directory  # where the agent asks
        self._advice = ""

    @property
    def known(self) -> Instance:
        return self._known

    @property
    def host(self) -> str:
        """A folder, or an address."""
        return self._host

    @property
    def advice(self) -> str:
        """What is to be written, and where; empty where nothing is."""
        return self._advice

    def told(self) -> Told | None:
        """Where it is, if not where it was assumed."""
        if self._known == self.assumed:
            return None
        at = self._known
        return Told(data_directory=at.data_directory, port=at.port, socket_directory=at.socket_directory)

    def others(self) -> list[tuple[str, int]]:
        """Hosts and ports where a server may listen that does not where it is looked for."""
        found = dict.fromkeys(_listening(self.assumed))
        found.pop((self._host, self._known.port), None)
        return list(found)

    def moved(self, host: str, port: int) -> None:
        """A server has answered there."""
        socket = host if host != LOOPBACK else self.assumed.socket_directory
        self._known = replace(self._known, port=port, socket_directory=socket)
        self._host = host

    def says(self, row: dict[str, Any]) -> None:
        """*row* has COLUMNS, of the server that answers."""
        real = row["data_directory"] or ""
        data, sentences = self.assumed.data_directory, []
        if real.startswith("/") and real != data:
            same = _same(real, data)
            if not same:
                sentences.append(
                    f"PostgreSQL's data directory is {real}, not {data}: set spec.postgres.dataDirectory to {real}"
                )
            # pgBackRest compares the names. One that is not seen here would help nobody: it would find nothing there.
            data = real if postmaster.is_data_directory(real) else data
        self._known = replace(self._known, data_directory=data)
        if self._host == LOOPBACK:
            sentences.append(_no_socket(row["socket_directories"] or "", self._known.port))
        self._advice = "; ".join(sentences)

    def is_ours(self, row: dict[str, Any]) -> bool:
        """Whether the server with *row* (QUESTION) is one of those whose files are seen here; True where none is."""
        found, real = postmaster.servers(self.assumed.data_directory), row["data_directory"]
        return not found or real is None or any(_same(real, one.data_directory) for one in found)

    def silent(self) -> str:
        """Why no server answers, as far as its own files tell; empty where they do not."""
        for server in postmaster.servers(self.assumed.data_directory)[:1]:
            folder = server.socket_directory
            if folder != self.assumed.socket_directory and not postmaster.ports(folder):
                return _no_socket(folder, server.port)
        return ""


def _listening(assumed: Instance) -> Iterator[tuple[str, int]]:
    """The likeliest first."""
    yield assumed.socket_directory, assumed.port
    found = postmaster.servers(assumed.data_directory)
    for server in found:
        for folder in (server.socket_directory, assumed.socket_directory):
            if folder and server.port in postmaster.ports(folder):
                yield folder, server.port
    if not found:  # its data is not seen from here
        for port in postmaster.ports(assumed.socket_directory):
            yield assumed.socket_directory, port
    for server in found:
        yield LOOPBACK, server.port
    yield LOOPBACK, assumed.port


def _no_socket(folders: str, port: int) -> str:
    folder = folders.split(",", maxsplit=1)[0].strip().strip('"')
    if not folder.startswith("/"):
        return f"PostgreSQL has no unix socket, which pgBackRest needs: set unix_socket_directories (port {port})"
    return (
        f"PostgreSQL's socket is in {folder}, which its pod does not share with pgwarden: "
        f"set spec.postgres.socketDirectory to {folder}"
    )


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
