"""The roles of a PostgresCluster's Secret: what the data says of them is brought in step with the Secret.

After a Restore of another cluster's data the roles have that one's passwords, or are not there at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg import sql

from agent.sql import Connection, PostgresError, one
from pgwarden.contract.roles import Role

#: Nothing of this session goes into a log. Its commits wait for no replica: one that cannot log in would never confirm.
_QUIETLY = (
    "SET log_statement = 'none'", "SET log_duration = off", "SET log_min_duration_statement = -1",
    "SET log_min_duration_sample = -1", "SET log_transaction_sample_rate = 0", "SET log_min_error_statement = 'panic'",
    "SET pg_stat_statements.track_utility = 'off'", "SET pgaudit.log = 'none'", "SET synchronous_commit = 'local'",
)  # fmt: skip
#: What pg_rewind asks of its source. Rights of one database: the one that Patroni names.
_REWIND = (
    "pg_ls_dir(text, boolean, boolean)", "pg_stat_file(text, boolean)", "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
)  # fmt: skip
_FOUND = b"SELECT rolpassword, rolcanlogin, rolreplication FROM pg_authid WHERE rolname = %s"


async def keep(connection: Connection, roles: Iterable[Role]) -> list[str]:
    """What was changed, in words: `password of app`. PostgresError on a standby, which cannot be written to."""
    if (await one(connection, "SELECT pg_is_in_recovery() AS yes"))["yes"]:
        raise PostgresError("it is a standby now")
    for statement in _QUIETLY:
        await connection.execute(statement.encode())
    changed = []
    for role in roles:
        changed += await _keep(connection, role)
    return changed


async def _keep(connection: Connection, role: Role) -> list[str]:
    row: dict[str, Any] | None = await (await connection.execute(_FOUND, [role.name])).fetchone()
    if row is None and not role.create:
        return []
    changed = []
    wanted = (role.verifier, True, role.replicates or bool(row and row["rolreplication"]))
    if row is None or (row["rolpassword"], row["rolcanlogin"], row["rolreplication"]) != wanted:
        verb = sql.SQL("CREATE" if row is None else "ALTER")
        rights = sql.SQL("LOGIN REPLICATION" if role.replicates else "LOGIN")
        statement = sql.SQL("{} ROLE {} {} PASSWORD {}")
        name = sql.Identifier(role.name)
        await connection.execute(statement.format(verb, name, rights, sql.Literal(role.verifier)))
        changed.append(f"role {role.name}" if row is None else f"password of {role.name}")
    if role.rewinds:
        changed += await _let_rewind(connection, role.name)
    if role.database:
        changed += await _give_database(connection, role.name)
    return changed


async def _let_rewind(connection: Connection, name: str) -> list[str]:
    lacking = []
    for function in _REWIND:
        asked = (name, f"pg_catalog.{function}")
        row = await (
            await connection.execute(b"SELECT has_function_privilege(%s, %s, 'EXECUTE') AS yes", asked)
        ).fetchone()
        if row is None or not row["yes"]:
            lacking.append(function)
    for function in lacking:
        grant = sql.SQL("GRANT EXECUTE ON FUNCTION pg_catalog.{} TO {}")
        await connection.execute(grant.format(sql.SQL(function), sql.Identifier(name)))
    return [f"rights of {name}"] if lacking else []


async def _give_database(connection: Connection, name: str) -> list[str]:
    found = await connection.execute(b"SELECT FROM pg_database WHERE datname = %s", [name])
    if found.rowcount:
        return []
    create = sql.SQL("CREATE DATABASE {} OWNER {}")
    await connection.execute(create.format(sql.Identifier(name), sql.Identifier(name)))
    return [f"database {name}"]
