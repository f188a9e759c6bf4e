"""Where PostgreSQL is, asked of this machine's own server, and of what one has left in its folders."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import postmaster
from agent.place import LOOPBACK, Place
from agent.postgres import Postgres
from agent.sql import TooOldError
from pgwarden.contract.environment import Instance
from pgwarden.pgbackrest import config
from tests.unit.agent.recovery.conftest import BIN, _give, run


def left(folder: Path, *, data: str = "", port: int = 5433, sockets: str = "/tmp", started: int = 1764554400) -> Path:
    """A data directory of a server that listens there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "PG_VERSION").write_text("17\n")
    lines = ["1", data or str(folder), str(started), str(port), sockets, "", "  123  456", "ready"]
    (folder / postmaster.FILE).write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("below", ["", "pg15", "17/main", "userdata"])
def test_a_server_is_found_in_the_assumed_folder_and_up_to_two_levels_below(tmp_path, below):
    at = left(tmp_path / "data" / below)
    assert postmaster.servers(f"{tmp_path}/data") == [postmaster.Server(str(at), 5433, "/tmp", 1764554400)]


def test_a_server_is_found_beside_the_assumed_folder(tmp_path):
    at = left(tmp_path / "main")
    (tmp_path / "data").mkdir()
    assert [one.data_directory for one in postmaster.servers(f"{tmp_path}/data")] == [str(at)]


def test_of_several_servers_the_assumed_one_comes_first_and_then_the_newest(tmp_path):
    left(tmp_path / "data/pg13", started=1)
    left(tmp_path / "data/pg15", started=2)
    left(tmp_path / "data/pg14", started=1)
    found = [Path(one.data_directory).name for one in postmaster.servers(f"{tmp_path}/data")]
    assert found[0] == "pg15"
    found = [Path(one.data_directory).name for one in postmaster.servers(f"{tmp_path}/data/pg13")]
    assert found[:2] == ["pg13", "pg15"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1\n",
        "nonsense\n/x\n1\n5432\n/tmp\n",
        "1\n/somewhere/else\n1\n5432\n/tmp\n",
        "1\n{data}\n1\n99999\n/tmp\n",
        "1\n{data}\n1\n54\u0663\n/tmp\n",
        "\x00" * 10000,
    ],
)
def test_a_file_that_no_server_of_the_folder_wrote_is_passed_over(tmp_path, text):
    (tmp_path / postmaster.FILE).write_text(text.replace("{data}", str(tmp_path)))
    assert postmaster.read(str(tmp_path)) is None


def test_neither_links_nor_pipes_are_read(tmp_path):
    other = left(tmp_path / "other")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / postmaster.FILE).symlink_to(other / postmaster.FILE)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / postmaster.FILE)
    assert postmaster.read(str(tmp_path / "linked")) is None
    assert postmaster.read(str(tmp_path / "pipe")) is None


def test_a_table_space_of_thousands_of_folders_is_not_walked_through(tmp_path):
    data = tmp_path / "data"
    (data / "base").mkdir(parents=True)
    (data / "PG_VERSION").write_text("17\n")
    left(data / "base/1")
    assert postmaster.servers(str(data)) == []


def test_a_socket_that_the_pod_does_not_share_is_one_sentence_with_the_line_to_write(tmp_path):
    left(tmp_path / "data", sockets="/run/not-shared")
    place = Place(Instance(f"{tmp_path}/data", socket_directory=str(tmp_path)))
    assert place.silent() == (
        "PostgreSQL's socket is in /run/not-shared, which its pod does not share with pgwarden: "
        "set spec.postgres.socketDirectory to /run/not-shared"
    )


def test_where_all_is_as_assumed_there_is_nothing_to_tell(tmp_path):
    data = left(tmp_path / "data")
    place = Place(Instance(str(data), socket_directory=str(tmp_path)))
    place.says({"data_directory": str(data), "port": "5432", "socket_directories": str(tmp_path)})
    assert (place.told(), place.advice) == (None, "")


def test_what_the_account_may_not_see_changes_nothing(tmp_path):
    place = Place(Instance(f"{tmp_path}/data", socket_directory=str(tmp_path)))
    place.says({"data_directory": None, "port": "5432", "socket_directories": None})
    assert (place.told(), place.advice) == (None, "")


def test_a_data_directory_that_is_not_seen_here_is_told_and_not_followed(tmp_path):
    place = Place(Instance(f"{tmp_path}/data", socket_directory=str(tmp_path)))
    place.says({"data_directory": "/not/mounted", "port": "5432", "socket_directories": str(tmp_path)})
    assert place.told() is None
    assert place.advice.endswith("set spec.postgres.dataDirectory to /not/mounted")


def test_another_name_of_the_same_folder_is_followed_without_a_word(tmp_path):
    """pgBackRest compares pg1-path with what the server calls its data directory."""
    data = left(tmp_path / "data")
    (tmp_path / "name").symlink_to(data)
    place = Place(Instance(str(data), socket_directory=str(tmp_path)))
    place.says({"data_directory": f"{tmp_path}/name", "port": "5432", "socket_directories": str(tmp_path)})
    assert place.known.data_directory == f"{tmp_path}/name"
    assert place.advice == ""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Server:
    """A PostgreSQL that is nowhere where one would guess it."""

    def __init__(self, root: Path) -> None:
        assert BIN is not None
        self.root, self.data, self.port = root, root / "data/pg15", free_port()
        self.shared, self.apart = root / "shared", root / "apart"
        run(BIN / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync")

    def start(self, *sockets: Path) -> None:
        given = ",".join(map(str, sockets))
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories='{given}'"
        run(BIN / "pg_ctl", "-D", self.data, "-w", "-s", "-l", self.root / "log", "-o", options, "start")

    def stop(self) -> None:
        run(BIN / "pg_ctl", "-D", self.data, "-w", "-s", "-m", "immediate", "stop", check=False)


@pytest.fixture
def server() -> Iterator[Server]:
    if BIN is None:
        pytest.skip("this machine has no PostgreSQL")
    root = Path(tempfile.mkdtemp(prefix="pgw", dir="/tmp"))  # a socket's path is short
    for name in ("data", "shared", "apart"):
        (root / name).mkdir()
    for one in (root, *root.iterdir()):
        _give(one)
    found = Server(root)
    yield found
    found.stop()
    shutil.rmtree(root)


async def test_a_server_in_another_folder_and_on_another_port_is_found_and_pgbackrest_follows(server: Server):
    server.start(server.shared)
    postgres = Postgres(Instance(str(server.root / "data"), socket_directory=str(server.shared)))
    before = config.stanza_section("hippo", postgres.place.known)

    seen = await postgres.look()

    assert seen.postgres.reachable, seen.postgres.error
    assert seen.postgres.advice == (
        f"PostgreSQL's data directory is {server.data}, not {server.root}/data: "
        f"set spec.postgres.dataDirectory to {server.data}"
    )
    assert seen.place is not None
    assert (seen.place.data_directory, seen.place.port) == (str(server.data), server.port)
    after = config.stanza_section("hippo", postgres.place.known)
    assert after != before
    assert f"pg1-path={server.data}\npg1-port={server.port}\npg1-socket-path={server.shared}\n" in after
    assert (await postgres.control()).in_recovery is False


async def test_another_socket_folder_that_is_shared_is_followed_without_a_word(server: Server):
    server.start(server.apart)
    postgres = Postgres(Instance(str(server.data), port=server.port, socket_directory=str(server.shared)))
    seen = await postgres.look()
    assert (seen.postgres.reachable, seen.postgres.advice) == (True, None)
    assert seen.place is not None
    assert seen.place.socket_directory == str(server.apart)


async def test_without_a_socket_that_is_shared_it_answers_over_the_loopback_and_the_line_is_told(server: Server):
    server.start(server.apart)
    server.apart.rename(server.root / "elsewhere")  # as if it were in the container's own file system
    postgres = Postgres(Instance(str(server.data), socket_directory=str(server.shared)))
    seen = await postgres.look()
    assert postgres.place.host == LOOPBACK
    assert seen.postgres.reachable is True
    assert seen.postgres.advice == (
        f"PostgreSQL's socket is in {server.apart}, which its pod does not share with pgwarden: "
        f"set spec.postgres.socketDirectory to {server.apart}"
    )


async def test_a_server_that_moves_back_is_found_again(server: Server):
    server.start(server.apart)
    postgres = Postgres(Instance(str(server.data), port=server.port, socket_directory=str(server.shared)))
    assert (await postgres.look()).postgres.reachable
    server.stop()
    assert not (await postgres.look()).postgres.reachable
    server.start(server.shared)
    seen = await postgres.look()
    assert seen.postgres.reachable
    assert seen.place is None


async def test_an_answer_that_is_a_refusal_is_not_taken_elsewhere(server: Server):
    """A password that is lacking is what is to be told, not that the loopback asks for none."""
    (server.data / "pg_hba.conf").write_text("local all all reject\nhost all all 127.0.0.1/32 trust\n")
    server.start(server.shared)
    postgres = Postgres(Instance(str(server.data), port=server.port, socket_directory=str(server.shared)))
    seen = await postgres.look()
    assert not seen.postgres.reachable
    assert "reject" in (seen.postgres.error or "")


async def test_a_server_that_is_too_old_is_told_and_nothing_is_set_in_it(server: Server):
    server.start(server.shared)
    at = Instance(str(server.data), port=server.port, socket_directory=str(server.shared))
    newer = Postgres(at, oldest=100)
    before = (server.data / "postgresql.auto.conf").read_bytes()

    seen = await newer.look()
    with pytest.raises(TooOldError):
        await newer.configure({"archive_mode": "on"})

    assert (seen.postgres.reachable, seen.postgres.too_old) == (False, True)
    assert "is too old: pgwarden takes 100 or later, and leaves this one as it is" in (seen.postgres.error or "")
    assert (server.data / "postgresql.auto.conf").read_bytes() == before
    assert (await Postgres(at).look()).postgres.too_old is None


@pytest.mark.parametrize(("number", "told"), [(130022, "13.22"), (120001, "12.1"), (90624, "9.6"), (100005, "10.5")])
def test_old_versions_are_named_as_their_users_do(number: int, told: str):
    with pytest.raises(TooOldError, match=rf"^PostgreSQL {told} is too old"):
        Postgres(Instance("/data"))._refuse_old(number)
    Postgres(Instance("/data"))._refuse_old(140000)
