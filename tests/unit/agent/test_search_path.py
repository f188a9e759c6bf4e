"""What the owner of a database may set for it, against what our superuser's sessions begin with: in a real server."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.postgres import Postgres
from controller.cluster import scripts
from harness.waiting import SLOWER
from pgwarden.contract.environment import Instance
from tests.unit.agent.recovery.conftest import AS_POSTGRES, BIN, _give
from tests.unit.agent.test_roles import Server

#: A function of the name that is asked for, found first: it leaves the name of whoever runs it.
TRAP = """
CREATE SCHEMA trap;
CREATE TABLE trap.caught (name text);
CREATE FUNCTION trap.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS
$$ INSERT INTO trap.caught VALUES (current_user); SELECT false $$;
CREATE VIEW trap.pg_roles AS SELECT 'app'::name AS rolname FROM pg_is_in_recovery();
GRANT ALL ON SCHEMA trap TO PUBLIC; GRANT ALL ON trap.caught, trap.pg_roles TO PUBLIC;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    root = Path(tempfile.mkdtemp(prefix="pgw-path-", dir="/tmp"))
    _give(root)
    found = Server(root)
    found.quick("CREATE ROLE owner")
    yield found
    found.stop()
    shutil.rmtree(root, ignore_errors=True)


def trapped(server: Server, name: str) -> None:
    """A database of which an application is the owner, and has set a search_path; the role has one, too."""
    server.quick(f"CREATE DATABASE {name} OWNER owner")
    in_database(server, name, "SET ROLE owner", TRAP, f"ALTER DATABASE {name} SET search_path = trap, pg_catalog")
    server.quick(f"ALTER ROLE postgres IN DATABASE {name} SET search_path = trap, pg_catalog")


def in_database(server: Server, name: str, *texts: str) -> str:
    words = [word for text in ("SET synchronous_commit = local", *texts) for word in ("-c", text)]
    argv = [str(BIN and BIN / "psql"), "-XAtq", "-h", str(server.root), "-U", "postgres", "-d", name, *words]
    return subprocess.run(
        argv, check=True, capture_output=True, text=True, timeout=60 * SLOWER, **AS_POSTGRES
    ).stdout.strip()


async def test_no_function_of_a_databases_owner_runs_as_the_superuser_that_the_sidecar_is(server):
    trapped(server, "app")
    # it would catch a session that does not see to it
    assert in_database(server, "app", "SELECT pg_is_in_recovery()", "SELECT name FROM trap.caught").endswith("postgres")
    in_database(server, "app", "TRUNCATE trap.caught")
    instance = Instance(str(server.data), socket_directory=str(server.root), user="postgres", database="app")

    control = await Postgres(instance).control()
    seen = await Postgres(instance).look()

    assert (control.in_recovery, seen.postgres.error) == (False, None)
    assert in_database(server, "app", "SELECT name FROM trap.caught") == ""


def test_a_clones_database_does_not_choose_what_the_first_script_finds(server):
    """Its superuser's database is the source's, with what it sets."""
    trapped(server, "cloned")
    sql = re.search(r"<<'SQL'\n(.*)\nSQL\n", scripts._AFTER_BOOTSTRAP.format(user="clients"), re.DOTALL)
    assert sql is not None
    argv = [str(BIN and BIN / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(server.root), "-U", "postgres"]
    text = "SET synchronous_commit = local;\n" + sql[1]
    environment = {"PGWARDEN_APP_PASSWORD": "secret"}

    subprocess.run(
        [*argv, "-d", "cloned"], input=text, env=environment, check=True, text=True, timeout=60 * SLOWER, **AS_POSTGRES
    )

    assert in_database(server, "cloned", "SELECT name FROM trap.caught") == ""
    assert server.logs_in("clients", "secret", database="clients")
