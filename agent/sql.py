"""One row, or all, of a question to PostgreSQL."""

from __future__ import annotations

from typing import Any

import psycopg

Connection = psycopg.AsyncConnection[dict[str, Any]]


class PostgresError(Exception):
    """PostgreSQL cannot be reached, or refused. The message is libpq's or its own, on one line."""


class TooOldError(PostgresError):
    """It is of a major that is not served: nothing is asked of it, and nothing is set."""


async def one(connection: Connection, query: str) -> dict[str, Any]:
    cursor = await connection.execute(query.encode())
    row = await cursor.fetchone()
    if row is None:
        raise PostgresError("PostgreSQL answered no row")
    return row


async def rows(connection: Connection, query: str) -> list[dict[str, Any]]:
    return await (await connection.execute(query.encode())).fetchall()
