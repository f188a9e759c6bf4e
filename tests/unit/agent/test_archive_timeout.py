"""archive_timeout: set where nobody else has, and never over somebody else's value."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from agent import archive_timeout

AUTO, CONF, INCLUDED = "/data/postgresql.auto.conf", "/etc/postgresql.conf", "/etc/conf.d/mine.conf"
OURS = (AUTO, "60000ms")
FILE = "configuration file"


class Server:
    """PostgreSQL's answers, and what it was told to change."""

    def __init__(self, source: str, *files: tuple[str, str], standby: bool = False, may: bool = True) -> None:
        self.source, self.files, self.standby, self.may = source, files, standby, may
        self.told: list[str] = []

    async def execute(self, query: Any) -> Any:
        text = (
            query.decode() if isinstance(query, bytes) else query if isinstance(query, str) else query.as_string(None)
        )
        if text.startswith("ALTER"):
            self.told.append(text.replace('"archive_timeout"', "it"))
        if "pg_file_settings" in text and not self.may:
            raise psycopg.errors.InsufficientPrivilege("permission denied")
        found = [{"sourcefile": file, "setting": value} for file, value in self.files]
        found = [{"setting": "60", "source": self.source}] if "FROM pg_settings" in text else found
        found = [{"yes": self.standby}] if "pg_is_in_recovery" in text else found

        class Cursor:
            async def fetchone(self) -> dict[str, Any] | None:
                return found[0] if found else None

            async def fetchall(self) -> list[dict[str, Any]]:
                return found

        return Cursor()


SET, RESET = "ALTER SYSTEM SET it = '60000ms'", "ALTER SYSTEM RESET it"


@pytest.mark.parametrize(
    ("server", "set_by", "when_on", "when_off"),
    [
        (Server("default"), "default", SET, ""),
        (Server(FILE, OURS), "pgwarden", "", RESET),
        (Server(FILE, (AUTO, "300000ms")), "pgwarden", SET, RESET),
        (Server(FILE, (CONF, "0")), "user", "", ""),
        (Server(FILE, (INCLUDED, "1h")), "user", "", ""),
        (Server(FILE, (AUTO, "60s")), "user", "", ""),
        (Server(FILE, (AUTO, "60")), "user", "", ""),
        (Server("command line"), "user", "", ""),
        (Server("environment variable"), "user", "", ""),
        (Server(FILE, (CONF, "5min"), OURS), "user", RESET, RESET),
        (Server("command line", OURS), "user", RESET, RESET),
    ],
    ids=[
        "set nowhere", "set by pgwarden", "set by pgwarden to another value", "postgresql.conf, off on purpose",
        "a file that is included", "ALTER SYSTEM", "ALTER SYSTEM without a unit", "an argument", "the environment",
        "postgresql.conf, after pgwarden had set it", "an argument, after pgwarden had set it",
    ],
)  # fmt: skip
async def test_only_what_nobody_else_has_set_is_set_and_taken_back(server, set_by, when_on, when_off):
    assert (await archive_timeout.read(server)).told().set_by == set_by
    for wanted, expected in ((60, when_on), (0, when_off)):
        server.told.clear()
        said = await archive_timeout.keep(server, wanted)
        assert server.told == [expected] * bool(expected)
        assert bool(said) is bool(expected)


@pytest.mark.parametrize("server", [Server("default", standby=True), Server("default", may=False)], ids=["on a standby", "where the files may not be seen"])  # fmt: skip
async def test_nothing_is_set(server):
    assert await archive_timeout.keep(server, 60) == ""
    assert server.told == []


async def test_where_the_files_may_not_be_seen_nothing_is_told():
    assert await archive_timeout.read(Server("default", may=False)) is None
