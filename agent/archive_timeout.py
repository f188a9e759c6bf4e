"""archive_timeout, where nobody else has set it: by ALTER SYSTEM, and taken back when it is somebody else's or off.

Not by an argument, as archive_command is: arguments win over every file, and here the user's value wins.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from agent.sql import Connection, one, rows
from pgwarden.api import archive_timeout
from pgwarden.contract.server_facts import ArchiveTimeout, SetBy

_RUNNING = "SELECT setting, source FROM pg_settings WHERE name = 'archive_timeout'"
_FILES = "SELECT sourcefile, setting FROM pg_file_settings WHERE name = 'archive_timeout' ORDER BY seqno"
_AUTO = "postgresql.auto.conf"


class Setting(NamedTuple):
    running: int  # seconds
    own: int | None  # what pgwarden has written, in seconds
    users: bool  # whether it is set anywhere else: another file, an argument, ALTER SYSTEM, a role

    def told(self) -> ArchiveTimeout:
        by: SetBy = "user" if self.users else "default" if self.own is None else "pgwarden"
        return ArchiveTimeout(seconds=self.running, set_by=by, own=self.own)


async def read(connection: Connection) -> Setting | None:
    """None where the account may not see the files."""
    try:
        files = await rows(connection, _FILES)
    except psycopg.errors.InsufficientPrivilege:
        return None
    running = await one(connection, _RUNNING)
    return judge(int(running["setting"]), running["source"], files)


def judge(running: int, source: str, files: list[dict[str, Any]]) -> Setting:
    """*source* is pg_settings' word for where the running value comes from, *files* what the files say."""
    auto = [row["setting"] for row in files if PurePosixPath(row["sourcefile"] or "").name == _AUTO]
    own = archive_timeout.own(auto[-1]) if auto else None
    elsewhere = len(files) > len(auto) or source not in {"default", "configuration file"}
    return Setting(running, own, users=elsewhere or (bool(auto) and own is None))


async def keep(connection: Connection, wanted: int) -> str:
    """Bring it to *wanted* seconds (0: as if pgwarden had never set it). What was done, empty where nothing was."""
    found = await read(connection)
    if found is None or (await one(connection, "SELECT pg_is_in_recovery() AS yes"))["yes"]:
        return ""
    name = sql.Identifier("archive_timeout")
    if wanted and not found.users:
        if found.own == wanted:
            return ""
        value = sql.Literal(archive_timeout.written(wanted))
        await connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(name, value))
        said = f"set to {wanted} s"
    elif found.own is not None:
        await connection.execute(sql.SQL("ALTER SYSTEM RESET {}").format(name))
        said = "reset, because it is set elsewhere" if found.users else "reset"
    else:
        return ""
    await connection.execute("SELECT pg_reload_conf()")
    return said
