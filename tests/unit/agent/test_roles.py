"""Roles in step with a Secret's passwords, in this machine's PostgreSQL, which logs all that it can."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from agent import roles
from agent.sql import PostgresError
from controller.cluster.scram import verifier
from pgwarden.contract.roles import Role
from tests.unit.agent.recovery.conftest import BIN, Sql, _give, run

OLD, NEW = "of the data's cluster", "of the Secret: 'ä' \\ \u2168"  # SASLprep makes IX of the last one
HBA = "local all postgres trust\nlocal all all scram-sha-256\nlocal replication all scram-sha-256\n"
LOUD = "log_statement=all\nlog_min_duration_statement=0\nlog_duration=on\nlog_min_error_statement=debug5\n"
SALT = b"0123456789abcdef"


class Server(Sql):
    def __init__(self, root: Path) -> None:
        super().__init__(root)
        assert BIN is not None
        self.bin, self.data, self.log = BIN, root / "data", root / "server.log"
        run(self.bin / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync")
        (self.data / "pg_hba.conf").write_text(HBA)
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(f"listen_addresses=''\nunix_socket_directories='{root}'\nfsync=off\n{LOUD}")
            conf.write("synchronous_standby_names='nobody'\n")  # a commit that waits for a replica never ends
        run(self.bin / "pg_ctl", "-D", self.data, "-w", "-s", "-l", self.log, "start")

    def stop(self) -> None:
        run(self.bin / "pg_ctl", "-D", self.data, "-w", "-s", "-m", "immediate", "stop", check=False)

    def quick(self, *texts: str) -> str:
        return self.sql("SET synchronous_commit = local", *texts)

    async def keep(self, *wanted: Role) -> list[str]:
        where = f"host={self.root} user=postgres dbname=postgres options='-c statement_timeout=20000'"
        async with await psycopg.AsyncConnection.connect(where, autocommit=True, row_factory=dict_row) as connection:
            return await roles.keep(connection, wanted)

    def logs_in(self, user: str, password: str, *, database: str = "postgres", replication: bool = False) -> bool:
        more = {"replication": "database"} if replication else {}
        try:
            psycopg.connect(host=str(self.root), user=user, password=password, dbname=database, **more).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                return False
            raise
        return True


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    root = Path(tempfile.mkdtemp(prefix="pgw-roles-", dir="/tmp"))
    _give(root)
    found = Server(root)
    yield found
    found.stop()
    shutil.rmtree(root, ignore_errors=True)


def role(name: str, password: str = NEW, **more: bool) -> Role:
    return Role(name=name, verifier=verifier(password, SALT), **more)


async def test_a_role_of_other_data_gets_the_password_of_the_secret(server):
    server.quick(f"SET password_encryption = md5; CREATE ROLE app LOGIN PASSWORD $${OLD}$$")
    assert await server.keep(role("app")) == ["password of app"]
    assert (server.logs_in("app", NEW), server.logs_in("app", OLD)) == (True, False)


async def test_what_is_in_step_already_is_not_changed(server):
    await server.keep(role("same", create=True))
    assert await server.keep(role("same")) == []
    assert await server.keep(role("same", OLD)) == ["password of same"]


async def test_a_role_that_may_not_log_in_or_replicate_may_afterwards(server):
    server.quick("CREATE ROLE replicator NOLOGIN NOREPLICATION")
    await server.keep(role("replicator", replicates=True))
    assert server.logs_in("replicator", NEW, replication=True)


async def test_patronis_roles_are_made_where_the_data_has_none(server):
    wanted = role("rewind", rewinds=True, create=True)
    assert await server.keep(wanted) == ["role rewind", "rights of rewind"]
    assert await server.keep(wanted) == []
    assert server.logs_in("rewind", NEW)
    may = server.sql("SELECT has_function_privilege('rewind', 'pg_read_binary_file(text)', 'EXECUTE')")
    assert may == "t"


async def test_the_applications_role_is_made_with_its_database_only_where_that_is_asked(server):
    assert await server.keep(role("shop")) == []
    wanted = role("shop", create=True, database=True)
    assert await server.keep(wanted) == ["role shop", "database shop"]
    assert await server.keep(wanted) == []
    assert server.logs_in("shop", NEW, database="shop")


async def test_nothing_of_it_is_logged_though_the_server_logs_all(server):
    await server.keep(role("quiet", create=True))
    text = server.log.read_text()
    assert "pg_is_in_recovery" in text  # it does log
    assert "SCRAM-SHA-256$" not in text
    assert 'ROLE "quiet"' not in text


async def test_a_standby_is_told_from_a_primary():
    class Standby:
        async def execute(self, _query):
            return self

        async def fetchone(self):
            return {"yes": True}

    with pytest.raises(PostgresError, match="standby"):
        await roles.keep(Standby(), [])  # type: ignore[arg-type]
