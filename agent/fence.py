"""The fence before a restore: makes every moment up to now a reachable target.

PostgreSQL stops at a target time only when it sees a transaction that was committed later. So one is committed here,
the segment that holds it is closed, and its archiving is waited for.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from agent.postgres import Postgres, stamp
from agent.server_facts import wal_directory
from agent.sql import PostgresError, one, rows
from pgwarden.contract.calls import Fenced, Tablespace

POLL_SECONDS = 0.1
_TABLESPACES = (
    "SELECT spcname AS name, pg_tablespace_location(oid) AS location FROM pg_tablespace"
    " WHERE pg_tablespace_location(oid) <> '' ORDER BY spcname"
)
_SEGMENT = re.compile(r"[0-9A-F]{24}")


def reached(archived: str | None, wal: str) -> bool:
    """Whether *archived*, the last thing archived, is *wal* or later on its timeline. A .history file says nothing."""
    match = _SEGMENT.match(archived or "")
    return match is not None and match[0][:8] == wal[:8] and match[0] >= wal


async def fence(postgres: Postgres, seconds: float, relayed: Callable[[str], bool] | None = None) -> Fenced:
    """*relayed* says whether the one storage that is meant has a segment, though another storage has not."""
    deadline = time.monotonic() + seconds
    answer = Fenced()
    try:
        # Committing may wait for a synchronous standby: the statements get the whole time.
        async with postgres.connect(seconds + 1, statement_seconds=seconds) as connection:
            answer = replace(
                answer,
                tablespaces=_tablespaces(await rows(connection, _TABLESPACES)),
                wal_directory=await wal_directory(connection, postgres.data_directory),
            )
            state = await one(
                connection, "SELECT pg_is_in_recovery() AS standby, current_setting('archive_mode') AS archive_mode"
            )
            if state["standby"]:
                return replace(answer, error="this PostgreSQL is in recovery and has no WAL of its own to archive")
            if state["archive_mode"] == "off":
                return replace(answer, error="archive_mode is off")
            # txid_current() assigns an xid, in every version; its commit is the record that recovery stops before.
            committed = await one(connection, "SELECT clock_timestamp() AS time, txid_current() AS xid")
            switched = await one(
                connection, "SELECT lsn::text AS lsn, pg_walfile_name(lsn) AS wal FROM pg_switch_wal() AS lsn"
            )
            answer = replace(answer, wal=switched["wal"], lsn=switched["lsn"], time=stamp(committed["time"]))
            while True:
                row = await one(connection, "SELECT last_archived_wal, last_failed_wal FROM pg_stat_archiver")
                wal = str(switched["wal"])
                if reached(row["last_archived_wal"], wal) or (relayed and relayed(wal)):
                    return replace(answer, ok=True)
                if time.monotonic() >= deadline:
                    break
                await asyncio.sleep(POLL_SECONDS)
    except PostgresError as broken:
        return replace(answer, error=str(broken), unreached=answer.tablespaces is None)
    last = row["last_archived_wal"] or "nothing"
    failed = f", last failed: {row['last_failed_wal']}" if row["last_failed_wal"] else ""
    error = f"{switched['wal']} not archived within {seconds:g} s (last archived: {last}{failed})"
    return replace(answer, error=error)


def _tablespaces(found: list[dict[str, Any]]) -> tuple[Tablespace, ...]:
    return tuple(Tablespace(name=one["name"], location=one["location"]) for one in found)


class Closer:
    """For whoever wants nothing but a segment archived: however often that is asked, one is closed in each period.

    A fence before a restore is not counted here: it has to have its commit, and is asked for once.
    """

    def __init__(self, postgres: Postgres, clock: Callable[[], float] = time.monotonic) -> None:
        self._postgres = postgres
        self._clock = clock
        self._last: float | None = None

    async def close(self, seconds: float, every: float) -> Fenced:
        """As `fence`; `ok` is false, and nothing is written, within *every* seconds of the one before."""
        now = self._clock()
        if self._last is not None and now - self._last < every:
            error = f"WAL was switched {now - self._last:.0f} s ago, and is switched at most every {every:g} s"
            return Fenced(error=error)
        self._last = now
        return await fence(self._postgres, seconds)
