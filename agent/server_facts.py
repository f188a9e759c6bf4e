"""What the living server is asked for, now and then, for the day on which it does not live any more."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg

from agent import archive_timeout, log
from agent.sql import Connection, rows
from pgwarden.contract import server_facts as known
from pgwarden.contract.server_facts import Locale, ServerFacts, TablespacePlace

#: It changes with a start, a reload or a promotion, which are noticed, and seldom otherwise (CREATE DATABASE).
FRESH_SECONDS = 3600.0
#: After a question that failed.
AGAIN_SECONDS = 60.0
#: For all questions together: below what a status may take.
READ_SECONDS = 6.0
#: Columns of the status: a server that is another one than before, or has read its configuration anew.
SIGNS = ("started", "loaded", "in_recovery")

_SETTINGS = (
    "SELECT name, setting FROM pg_settings WHERE name IN ('server_version_num', 'shared_preload_libraries',"
    " 'session_preload_libraries', 'local_preload_libraries', 'data_checksums', 'block_size', 'wal_segment_size',"
    " 'config_file', 'hba_file')"
)
_BIN_DIR = "SELECT setting FROM pg_config WHERE name = 'BINDIR'"
_VERSION = "SELECT version() AS text"
_LIBC = (
    "SELECT pg_collation_actual_version(oid) AS version FROM pg_collation"
    " WHERE collprovider = 'c' AND pg_collation_actual_version(oid) IS NOT NULL LIMIT 1"
)
_TABLESPACES = (
    "SELECT spcname AS name, pg_tablespace_location(oid) AS location FROM pg_tablespace"
    " WHERE pg_tablespace_location(oid) <> '' ORDER BY spcname"
)
_SEGMENTS = "SELECT name FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$' LIMIT 64"
_DATABASES = "SELECT count(*) AS count FROM pg_database"
_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


class Reader:
    """Facts of one server, read when it is another than before, or they are old."""

    def __init__(self, data_directory: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.data_directory = data_directory
        self._clock = clock
        self._known: ServerFacts | None = None
        self._signs: tuple[Any, ...] = ()
        self._next = 0.0
        self._log = log.get("facts")

    async def of(self, connection: Connection, row: dict[str, Any]) -> ServerFacts | None:
        """*row* is the status, with SIGNS. What was known last, where it cannot be read now."""
        signs, now = tuple(row[name] for name in SIGNS), self._clock()
        if signs == self._signs and now < self._next:
            return self._known
        self._signs, self._next = signs, now + AGAIN_SECONDS
        try:
            async with asyncio.timeout(READ_SECONDS):
                self._known, self._next = await read(connection, self.data_directory), now + FRESH_SECONDS
        except (psycopg.Error, TimeoutError) as error:
            self._log.warning("cannot read what a recovery would need to know", error=" ".join(str(error).split()))
        return self._known


async def read(connection: Connection, data_directory: str) -> ServerFacts:
    settings = {row["name"]: row["setting"] for row in await rows(connection, _SETTINGS)}
    version, timeout = int(settings["server_version_num"]), await archive_timeout.read(connection)
    return ServerFacts(
        version_num=version,
        bin_dir=_path(await _first(connection, _BIN_DIR)),
        shared_preload_libraries=libraries(settings.get("shared_preload_libraries")),
        session_preload_libraries=libraries(settings.get("session_preload_libraries")),
        local_preload_libraries=libraries(settings.get("local_preload_libraries")),
        data_checksums={"on": True, "off": False}.get(settings.get("data_checksums", "")),
        block_size=_number(settings.get("block_size")),
        wal_segment_size=_number(settings.get("wal_segment_size")),
        archive_timeout=timeout.told() if timeout else None,
        config_file=_path(settings.get("config_file")),
        hba_file=_path(settings.get("hba_file")),
        libc=libc(str(await _first(connection, _VERSION))),
        libc_version=_text(await _first(connection, _LIBC)),
        wal_directory=_path(await wal_directory(connection, data_directory)),
        tablespaces=tuple(_tablespaces(await rows(connection, _TABLESPACES)))[: known.MOST_TABLESPACES],
        locales=tuple(_locale(row) for row in await rows(connection, _locales(version))),
        database_count=await _first(connection, _DATABASES),
    )


async def wal_directory(connection: Connection, data_directory: str) -> str | None:
    """Where pg_wal is, if not in the data directory: what a link there names, or the folder itself where something is
    mounted on it; then the segments that PostgreSQL sees in it are not on the volume that is seen from here.
    """
    link = await asyncio.to_thread(_link, data_directory)
    if link is not None:
        return link
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
        names = [str(row["name"]) for row in await rows(connection, _SEGMENTS)]
        folder = Path(data_directory, "pg_wal")
        elsewhere = await asyncio.to_thread(_has_none_of, folder, names)
        return str(folder) if elsewhere else None
    return None


def _link(data_directory: str) -> str | None:
    """What a link pg_wal names, seen from here or not."""
    try:
        return os.path.normpath(Path(data_directory, Path(data_directory, "pg_wal").readlink()))
    except OSError:
        return None


def _has_none_of(folder: Path, names: list[str]) -> bool:
    return bool(names) and folder.is_dir() and not any((folder / name).exists() for name in names)


def libraries(setting: str | None) -> tuple[str, ...]:
    """`a, "$libdir/b"` as PostgreSQL's list of libraries."""
    names = [one.strip().strip('"') for one in (setting or "").split(",")]
    return tuple(one for one in names if one and len(one) <= known.MOST_PATH)[: known.MOST_LIBRARIES]


def libc(version: str) -> Any:
    """The family of C libraries, from what version() says: `… on x86_64-pc-linux-musl, compiled by …`."""
    platform = version.partition(" on ")[2].partition(",")[0]
    return "musl" if "musl" in platform else "glibc" if "linux-gnu" in platform else None


def _locales(version: int) -> str:
    """One row for each locale: of a thousand databases, most have the same."""
    locale = "datlocale" if version >= 170000 else "daticulocale" if version >= 150000 else "NULL"
    provider, recorded = ("datlocprovider", "datcollversion") if version >= 150000 else ("'c'", "NULL")
    actual = "pg_database_collation_actual_version(min(oid::bigint)::oid)" if version >= 150000 else "NULL"
    return f"""
SELECT provider, lc_collate, lc_ctype, locale, version, {actual} AS actual_version, count(*) AS count,
       (array_agg(datname ORDER BY datname))[1:{known.MOST_NAMES}]::text[] AS names
FROM (SELECT oid, datname::text, {provider}::text AS provider, datcollate::text AS lc_collate,
             datctype::text AS lc_ctype, {locale}::text AS locale, {recorded}::text AS version
      FROM pg_database) AS databases
GROUP BY provider, lc_collate, lc_ctype, locale, version ORDER BY count(*) DESC, lc_collate LIMIT {known.MOST_LOCALES}
"""  # noqa: S608 - names of columns and numbers, all of them ours


def _locale(row: dict[str, Any]) -> Locale:
    return Locale(
        provider=_PROVIDERS.get(row["provider"], row["provider"]),
        collate=_text(row["lc_collate"]) or "",
        ctype=_text(row["lc_ctype"]) or "",
        locale=_text(row["locale"]),
        version=_text(row["version"]),
        actual_version=_text(row["actual_version"]),
        databases=tuple(name[: known.MOST_TEXT] for name in row["names"]),
        database_count=row["count"],
    )


def _tablespaces(found: Iterable[dict[str, Any]]) -> Iterator[TablespacePlace]:
    for row in found:
        if len(row["location"]) <= known.MOST_PATH:
            yield TablespacePlace(name=row["name"][: known.MOST_TEXT], location=row["location"])


async def _first(connection: Connection, query: str) -> Any:
    """The one value; None where there is none, or the account may not see it."""
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
        return next((next(iter(row.values())) for row in await rows(connection, query)), None)
    return None


def _text(value: object) -> str | None:
    return value[: known.MOST_TEXT] if isinstance(value, str) else None


def _path(value: object) -> str | None:
    """None where it is too long: half a path is another one."""
    return value if isinstance(value, str) and value and len(value) <= known.MOST_PATH else None


def _number(value: str | None) -> int | None:
    return int(value) if value and value.isdigit() else None
