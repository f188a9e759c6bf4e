"""Questions to, and three changes of, the PostgreSQL beside us, over its unix socket.

A connection per call: a kept one would hold up PostgreSQL's smart shutdown, which is what the kubelet's SIGTERM asks
for. libpq reads the password from PGPASSWORD. Every connection and statement has a time limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
from msgspec.structs import replace
from psycopg import sql
from psycopg.rows import dict_row

from agent import archive_timeout, disk, log, place, roles, server_facts
from agent.place import Place
from agent.sql import Connection, PostgresError, TooOldError, one
from pgwarden.api import postgres_majors
from pgwarden.contract import status
from pgwarden.contract.calls import Outcome
from pgwarden.contract.environment import Instance
from pgwarden.contract.roles import Roles
from pgwarden.contract.server_facts import ServerFacts


class Control(NamedTuple):
    in_recovery: bool
    system_identifier: str
    segment_size: int  # bytes
    wal: str  # the segment that a primary writes; empty of a standby


class Seen(NamedTuple):
    postgres: status.Postgres
    archiver: status.Archiver | None
    unarchived: int | None
    facts: ServerFacts | None
    data: status.Usage | None = None
    wal: status.Usage | None = None
    place: status.Place | None = None


CONNECT_SECONDS = 5
STATEMENT_SECONDS = 5.0
#: For connection and statements of one status together: below the controller's own limit.
STATUS_SECONDS = 12.0
#: Below the controller's own limit (restore/steps_switch.py).
CHECKPOINT_SECONDS = 55.0
#: Below the controller's own limit (cluster/password_keeper.py).
ROLES_SECONDS = 25.0

#: One round trip. A primary's timeline is that of what it writes: after a promotion the control file's lags behind.
_STATUS = f"""
SELECT pg_is_in_recovery() AS in_recovery,
       (SELECT system_identifier FROM pg_control_system())::text AS system_identifier,
       split_part(current_setting('server_version'), ' ', 1) AS server_version,
       CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
            ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END AS timeline,
       current_setting('archive_mode') AS archive_mode,{place.COLUMNS.rstrip()}
       current_setting('archive_command', true) AS archive_command,
       (SELECT pending_restart FROM pg_settings WHERE name = 'archive_mode') AS pending_restart,
       pg_last_xact_replay_timestamp() AS last_replay_time,
       pg_postmaster_start_time()::text AS started, pg_conf_load_time()::text AS loaded,
       archived_count, last_archived_wal, last_archived_time, failed_count, last_failed_wal, last_failed_time
FROM pg_stat_archiver
"""  # noqa: S608 - both parts are ours
_CONTROL = """
SELECT pg_is_in_recovery() AS in_recovery,
       (SELECT system_identifier FROM pg_control_system())::text AS system_identifier,
       (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size') AS segment_size,
       CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_walfile_name(pg_current_wal_lsn()) END AS wal
"""
_WAITING = "SELECT count(*) AS count FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"


class Postgres:
    def __init__(self, instance: Instance, oldest: int = postgres_majors.OLDEST_FOREIGN) -> None:
        self._oldest = oldest
        self.place = Place(instance)
        self._facts = server_facts.Reader(instance.data_directory)
        self._log = log.get("postgres")

    @property
    def data_directory(self) -> str:
        return self.place.known.data_directory

    def where(self) -> str:
        return self.data_directory

    @contextlib.asynccontextmanager
    async def connect(
        self, seconds: float, statement_seconds: float = STATEMENT_SECONDS, at: tuple[str, int] | None = None
    ) -> AsyncIterator[Connection]:
        """An autocommit connection for at most *seconds*; PostgresError for whatever goes wrong inside."""
        known = self.place.known
        host, port = at or (self.place.host, known.port)
        try:
            async with asyncio.timeout(seconds):
                connection = await psycopg.AsyncConnection.connect(
                    host=host,
                    port=port,
                    user=known.user,
                    dbname=known.database,
                    connect_timeout=CONNECT_SECONDS,
                    application_name="pgwarden",
                    options=options(statement_seconds),
                    autocommit=True,
                    row_factory=dict_row,
                )
                async with connection:
                    self._refuse_old(connection.info.server_version)
                    yield connection
        except TimeoutError as error:
            raise PostgresError(f"no answer within {seconds:g} s") from error
        except psycopg.Error as error:
            raise PostgresError(" ".join(str(error).split()) or type(error).__name__) from error

    def _refuse_old(self, version: int) -> None:
        """By what the server said at its greeting: no question of ours is one that an old one may not know."""
        major, minor = divmod(version, 10000)
        if major >= self._oldest:
            return
        told = f"{major}.{minor}" if major > 9 else f"9.{minor // 100}"
        raise TooOldError(
            f"PostgreSQL {told} is too old: pgwarden takes {self._oldest} or later, and leaves this one as it is. "
            "Upgrade it, or remove the label pgwarden.io/repository from its pod template"
        )

    async def control(self) -> Control:
        async with self.connect(STATUS_SECONDS) as connection:
            row = await one(connection, _CONTROL)
        return Control(row["in_recovery"], row["system_identifier"], row["segment_size"], row["wal"])

    async def look(self) -> Seen:
        """Never raises for what PostgreSQL does."""
        unarchived, (data, wal) = await asyncio.to_thread(self._look_at_files)
        try:
            async with self._connect_somewhere() as connection:
                row = await one(connection, _STATUS)
                await asyncio.to_thread(self.place.says, row)
                if unarchived is None:
                    with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
                        unarchived = (await one(connection, _WAITING))["count"]
                self._facts.data_directory = self.data_directory
                facts = await self._facts.of(connection, row)
        except PostgresError as error:
            why = await asyncio.to_thread(self.place.silent)
            said = f"{why} ({error})" if why else str(error)
            old = isinstance(error, TooOldError) or None
            return Seen(status.Postgres(error=said, too_old=old), None, unarchived, None, data, wal, self.place.told())
        answer = replace(_postgres(row), advice=self.place.advice or None)
        return Seen(answer, _archiver(row), unarchived, facts, data, wal, self.place.told())

    @contextlib.asynccontextmanager
    async def _connect_somewhere(self) -> AsyncIterator[Connection]:
        """Where it answered last, or was assumed; else where its own files say that it listens."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                connection = await stack.enter_async_context(self.connect(STATUS_SECONDS))
            except PostgresError as error:
                found = await self._find() if _is_unreached(error) else None
                if found is None:
                    raise
                connection = await stack.enter_async_context(self.connect(STATUS_SECONDS))
                self._log.info("PostgreSQL answers elsewhere", host=found[0], port=found[1], assumed=str(error))
            yield connection

    async def _find(self) -> tuple[str, int] | None:
        """The first of the other places that answers; it is taken. None where none does."""
        for host, port in await asyncio.to_thread(self.place.others):
            try:
                async with self.connect(CONNECT_SECONDS, at=(host, port)) as connection:
                    row = await one(connection, place.QUESTION)
            except PostgresError:
                continue
            if await asyncio.to_thread(self.place.is_ours, row):
                self.place.moved(host, port)
                return host, port
        return None

    def _look_at_files(self) -> tuple[int | None, tuple[status.Usage | None, status.Usage | None]]:
        """It may take as long as the file system does."""
        return self._count_waiting(), disk.of_server(self.data_directory)

    def _count_waiting(self) -> int | None:
        """Segments not archived yet, from the data directory itself: that works while PostgreSQL is down, too."""
        try:
            with os.scandir(f"{self.data_directory}/pg_wal/archive_status") as entries:
                return sum(entry.name.endswith(".ready") for entry in entries)
        except OSError:
            return None  # not visible here (pg_wal on a volume of its own): PostgreSQL is asked

    async def checkpoint(self) -> Outcome:
        """A superuser's, or pg_checkpoint's, right. It takes as long as there is something to write."""
        async with self.connect(CHECKPOINT_SECONDS, statement_seconds=CHECKPOINT_SECONDS) as connection:
            await connection.execute("CHECKPOINT")
        return Outcome(ok=True)

    async def archive_timeout(self, seconds: int) -> Outcome:
        """Set where nobody else has; see archive_timeout.keep."""
        try:
            async with self.connect(30) as connection:
                return Outcome(ok=True, output=await archive_timeout.keep(connection, seconds))
        except PostgresError as error:
            return Outcome(error=str(error))

    async def keep_roles(self, wanted: Roles) -> Outcome:
        """See roles.keep. Making a database may take a while."""
        try:
            async with self.connect(ROLES_SECONDS, statement_seconds=ROLES_SECONDS) as connection:
                return Outcome(ok=True, output=", ".join(await roles.keep(connection, wanted.roles)))
        except PostgresError as error:
            return Outcome(error=str(error))

    async def configure(self, wanted: dict[str, str]) -> list[str]:
        """ALTER SYSTEM to *wanted* where the configuration files say otherwise; the changed names. Only on a primary.

        The files are asked, not the running values: those lag behind while a restart is owed, and archive_command reads
        "(disabled)" as long as archive_mode is off.
        """
        async with self.connect(30) as connection:
            if (await one(connection, "SELECT pg_is_in_recovery() AS yes"))["yes"]:
                return []
            cursor = await connection.execute(
                "SELECT name, setting FROM pg_file_settings WHERE name = ANY(%s) ORDER BY seqno", [list(wanted)]
            )
            have = {row["name"]: row["setting"] for row in await cursor.fetchall()}
            changed = [name for name, value in wanted.items() if not _same(name, have.get(name), value)]
            for name in changed:
                statement = sql.SQL("ALTER SYSTEM SET {} = {}")
                await connection.execute(statement.format(sql.Identifier(name), sql.Literal(wanted[name])))
            if changed:
                await connection.execute("SELECT pg_reload_conf()")
        return changed


def _is_unreached(error: PostgresError) -> bool:
    """Nobody listens there. libpq says it in the words of the C library, in our own language: none."""
    return any(words in str(error) for words in ("No such file or directory", "Connection refused"))


def options(statement_seconds: float) -> str:
    """What a session begins with. It wins over what a database or a role sets: the owner of a database is no superuser,
    and may set its search_path, but no name in a statement of ours is found in a schema of theirs.
    """
    return f"-c search_path=pg_catalog -c statement_timeout={int(statement_seconds * 1000)} -c lock_timeout=2000"


def _same(name: str, have: str | None, wanted: str) -> bool:
    return have == wanted or (name == "archive_mode" and have == "always")


def _postgres(row: dict[str, Any]) -> status.Postgres:
    return status.Postgres(
        reachable=True,
        in_recovery=row["in_recovery"],
        system_identifier=row["system_identifier"],
        server_version=row["server_version"],
        timeline=row["timeline"],
        archive_mode=row["archive_mode"],
        archive_command=row["archive_command"],
        pending_restart=bool(row["pending_restart"]),
        last_replay_time=stamp(row["last_replay_time"]),
    )


def _archiver(row: dict[str, Any]) -> status.Archiver:
    return status.Archiver(
        archived_count=row["archived_count"],
        last_archived_wal=row["last_archived_wal"],
        last_archived_time=stamp(row["last_archived_time"]),
        failed_count=row["failed_count"],
        last_failed_wal=row["last_failed_wal"],
        last_failed_time=stamp(row["last_failed_time"]),
    )


def stamp(time: datetime | None) -> str | None:
    """RFC 3339 in UTC, with microseconds: a recovery target must not be rounded."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z") if time else None
