"""Facts of a living server: what the agent reads is in the Repository's status, and is read there, whatever its size."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import psycopg
import pytest
from msgspec.structs import replace

from agent import server_facts as reading
from controller.agents import MOST_POD
from controller.repository import report
from pgwarden.api import names, outside
from pgwarden.api.schema import crds
from pgwarden.contract import server_facts
from pgwarden.contract.server_facts import Locale, ServerFacts
from pgwarden.contract.status import Status
from pgwarden.pgbackrest.info import parse_info
from tests.unit.contract import produced

LINUX = "PostgreSQL 17.6 (Debian 17.6-1) on x86_64-pc-linux-gnu, compiled by gcc (Debian 12.2.0-14) 12.2.0, 64-bit"
SETTINGS = {
    "server_version_num": "170006", "shared_preload_libraries": 'pg_stat_statements, "$libdir/timescaledb"',
    "session_preload_libraries": "", "local_preload_libraries": "", "data_checksums": "on", "block_size": "8192",
    "wal_segment_size": "16777216", "config_file": "/etc/postgresql.conf", "hba_file": "/etc/pg_hba.conf",
}  # fmt: skip
HIDDEN = {"shared_preload_libraries", "session_preload_libraries", "config_file", "hba_file"}


class Server:
    """Answers as psycopg does, for a server of so many databases in two locales."""

    def __init__(self, databases: int = 3, *, superuser: bool = True, tablespaces: int = 0) -> None:
        self.databases, self.superuser, self.tablespaces = databases, superuser, tablespaces
        self.asked: list[str] = []
        self.segments = ["000000010000000000000007"]
        self.broken = False

    async def execute(self, query: bytes) -> Any:
        text = query.decode()
        self.asked.append(text)
        if self.broken:
            raise psycopg.OperationalError("the connection is closed")
        found = self._answer(text)

        class Cursor:
            async def fetchone(self) -> dict[str, Any] | None:
                return found[0] if found else None

            async def fetchall(self) -> list[dict[str, Any]]:
                return found

        return Cursor()

    def _answer(self, text: str) -> list[dict[str, Any]]:
        if "pg_file_settings" in text:
            return [{"sourcefile": "/data/postgresql.auto.conf", "setting": "60000ms"}]
        if "archive_timeout" in text:
            return [{"setting": "60", "source": "configuration file"}]
        if "FROM pg_settings" in text:
            seen = {name: value for name, value in SETTINGS.items() if self.superuser or name not in HIDDEN}
            return [{"name": name, "setting": value} for name, value in seen.items()]
        if "FROM pg_config" in text or "pg_ls_waldir" in text:
            if not self.superuser:
                raise psycopg.errors.InsufficientPrivilege("permission denied")
            return [{"setting": "/opt/pg/bin"}] if "pg_config" in text else [{"name": one} for one in self.segments]
        if "version() AS text" in text:
            return [{"text": LINUX}]
        if "FROM pg_collation" in text:
            return [{"version": "2.36"}]
        if "FROM pg_tablespace" in text:
            most = server_facts.MOST_TABLESPACES
            return [{"name": f"t{n}", "location": f"/space/{n}"} for n in range(self.tablespaces)][:most]
        if "GROUP BY" in text:
            return self._locales()
        return [{"count": self.databases}]

    def _locales(self) -> list[dict[str, Any]]:
        few = [name for name in ("german",) if self.databases > 1]
        many = [f"db{n:04}" for n in range(self.databases - len(few))]
        parts = [("c", "en_US.utf8", None, "2.36", many), ("i", "de_DE.utf8", "de-DE", "153.112", few)]
        return [
            {"provider": provider, "lc_collate": locale, "lc_ctype": locale, "locale": icu, "version": version,
             "actual_version": version, "count": len(names), "names": names[: server_facts.MOST_NAMES]}
            for provider, locale, icu, version, names in parts if names
        ]  # fmt: skip


def reported(sent: ServerFacts | None, before: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """The Repository after the controller has heard *sent*."""
    raw = msgspec.json.encode(Status(role="postgres", facts=sent))
    assert len(raw) < MOST_POD
    got = outside.decode(raw, Status, most=MOST_POD)
    assert got is not None
    given = produced.facts(produced.read([]), before=before, **spec)
    (pod,) = given.pods
    pod = dataclasses.replace(pod, answer=replace(pod.answer, facts=got.facts))
    given = dataclasses.replace(given, pods=(pod,))
    return given.repository | {"status": produced.stored(report.status(given, {}))}


@pytest.mark.parametrize("databases", [0, 1, 60, 2000])
async def test_what_the_agent_reads_is_read_from_the_repositorys_status(tmp_path, databases):
    sent = await reading.read(Server(databases), str(tmp_path))
    repository = reported(sent)
    assert server_facts.of(repository) == sent
    assert (sent.major, sent.bin_dir, sent.database_count) == (17, "/opt/pg/bin", databases)
    assert sent.shared_preload_libraries == ("pg_stat_statements", "$libdir/timescaledb")
    assert (sent.archive_timeout.set_by, sent.archive_timeout.own) == ("pgwarden", 60)
    assert (sent.libc, sent.libc_version) == ("glibc", "2.36")
    assert sum(one.database_count for one in sent.locales) == databases
    assert all(len(one.databases) <= server_facts.MOST_NAMES for one in sent.locales)


async def test_what_the_account_may_not_see_is_left_out(tmp_path):
    sent = await reading.read(Server(superuser=False), str(tmp_path))
    assert (sent.bin_dir, sent.config_file, sent.shared_preload_libraries) == (None, None, ())
    assert (sent.major, sent.wal_segment_size, len(sent.locales)) == (17, 16 * 2**20, 2)


async def test_the_longest_facts_are_an_answer_and_a_status(tmp_path):
    text, path = "ü" * server_facts.MOST_TEXT, "/" + "ü" * (server_facts.MOST_PATH - 1)
    locale = Locale(provider=text, collate=text, ctype=text, locale=text, version=text, actual_version=text,
                    databases=(text,) * server_facts.MOST_NAMES, database_count=2**62)  # fmt: skip
    libraries = (path,) * server_facts.MOST_LIBRARIES
    sent = replace(
        await reading.read(Server(tablespaces=2000), str(tmp_path)), bin_dir=path, wal_directory=path,
        shared_preload_libraries=libraries, locales=(locale,) * server_facts.MOST_LOCALES,
    )  # fmt: skip
    assert len(sent.tablespaces) == server_facts.MOST_TABLESPACES
    assert server_facts.of(reported(sent)) == sent


@pytest.mark.parametrize("gone", ["no primary", "an agent of before", "another cluster"])
async def test_what_was_known_last_stays_while_nothing_newer_is_told(tmp_path, gone):
    known = await reading.read(Server(), str(tmp_path))
    before = reported(known)["status"]
    given = produced.facts(produced.read([]), before=before)
    (pod,) = given.pods
    told = replace(known, bin_dir="/elsewhere")
    answer = {
        "no primary": replace(pod.answer, postgres=replace(pod.answer.postgres, in_recovery=True), facts=told),
        "an agent of before": pod.answer,
        "another cluster": replace(
            pod.answer, postgres=replace(pod.answer.postgres, system_identifier="1"), facts=told
        ),
    }[gone]
    given = dataclasses.replace(given, pods=(dataclasses.replace(pod, answer=answer),))
    after = given.repository | {"status": produced.stored(report.status(given, {}))}
    assert server_facts.of(after) == known


@pytest.mark.parametrize("long", ["", "bin_dir", "shared_preload_libraries", "config_file", "wal_directory"])
async def test_where_the_status_is_lost_the_newest_backup_set_tells(tmp_path, long):
    sent = await reading.read(Server(), str(tmp_path))
    if long:
        path = "/" + "x" * 1000
        sent = replace(sent, **{long: (path,) if long.endswith("libraries") else path})
    text = server_facts.mark(reported(sent))
    assert 0 < len(text) <= server_facts.MOST_MARK
    full, incr = produced.chain("FI")
    document = produced.document([full, incr])
    document[0]["backup"][0]["annotation"] = {names.PGBACKREST_ANNOTATION_SERVER: '{"binDir": "/old"}'}
    document[0]["backup"][1]["annotation"] = {names.PGBACKREST_ANNOTATION_SERVER: text}
    given = produced.facts(parse_info(document, "hippo"))
    given = dataclasses.replace(given, pods=())
    known = server_facts.of(given.repository | {"status": produced.stored(report.status(given, {}))})
    assert known == server_facts.marked(text)
    assert (known.major, known.wal_segment_size, known.libc) == (17, 16 * 2**20, "glibc")
    assert long or known.bin_dir == "/opt/pg/bin"
    assert long or known.locales[0].collate == "en_US.utf8"


@pytest.mark.parametrize("text", ["", "x", "[]", '{"binDir": 7}', '{"binDir": "' + "x" * 3000 + '"}'])
def test_a_mark_that_cannot_be_read_says_nothing(text):
    assert server_facts.marked(text) is None
    assert server_facts.mark({"status": {}}) == ""


@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        [],
        {"postgres": None},
        {"postgres": 7},
        {"postgres": {"binDir": 7}},
        {"postgres": {"binDir": "x" * 2000}},
    ],
    ids=str,
)
def test_a_repository_without_readable_facts_has_empty_ones(status):
    assert server_facts.of({"status": status}) == ServerFacts()


def test_the_status_has_a_field_for_each_fact_and_room_for_the_longest():
    status = crds()["Repository"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    found = status["properties"][server_facts.FIELD]

    def compare(shape: type[msgspec.Struct], node: dict[str, Any]) -> None:
        told = msgspec.json.schema(shape)["$defs"][shape.__name__]["properties"]
        assert set(node["properties"]) == set(told)
        for name, mine in node["properties"].items():
            assert mine.get("maxItems") == told[name].get("maxItems"), name

    compare(ServerFacts, found)
    compare(server_facts.ArchiveTimeout, found["properties"]["archiveTimeout"])
    compare(Locale, found["properties"]["locales"]["items"])
    compare(server_facts.TablespacePlace, found["properties"]["tablespaces"]["items"])


ROW = {"started": "a", "loaded": "b", "in_recovery": False}


class TestReader:
    async def test_a_server_is_asked_once_until_it_is_another_or_an_hour_has_gone(self, tmp_path):
        now, server, row = 0.0, Server(), dict(ROW)
        reader = reading.Reader(str(tmp_path), lambda: now)
        for later, changed, read in [
            (1, {}, True), (15, {}, False), (30, {}, False), (45, {"loaded": "c"}, True), (60, {"started": "d"}, True),
            (75, {"in_recovery": True}, True), (90, {}, False), (75 + reading.FRESH_SECONDS, {}, True),
        ]:  # fmt: skip
            now, before = float(later), len(server.asked)
            row |= changed
            assert (await reader.of(server, row)).bin_dir == "/opt/pg/bin"
            assert (len(server.asked) > before) is read, later

    async def test_a_reading_that_fails_keeps_what_was_known_and_is_tried_again_a_minute_later(self, tmp_path):
        now, server = 0.0, Server()
        reader = reading.Reader(str(tmp_path), lambda: now)
        known = await reader.of(server, ROW)
        server.broken = True
        assert await reader.of(server, ROW | {"started": "x"}) == known
        asked = len(server.asked)
        assert await reader.of(server, ROW | {"started": "x"}) == known
        assert len(server.asked) == asked
        now += reading.AGAIN_SECONDS
        await reader.of(server, ROW | {"started": "x"})
        assert len(server.asked) > asked


class TestWalDirectory:
    async def test_a_folder_with_the_servers_segments_is_no_other_place(self, tmp_path):
        (tmp_path / "pg_wal").mkdir()
        (tmp_path / "pg_wal" / "000000010000000000000007").touch()
        assert await reading.wal_directory(Server(), str(tmp_path)) is None

    async def test_a_link_is_told_by_what_it_names_also_where_that_is_not_seen_from_here(self, tmp_path):
        (tmp_path / "pg_wal").symlink_to("/wal/pg_wal")
        assert await reading.wal_directory(Server(), str(tmp_path)) == "/wal/pg_wal"

    async def test_a_relative_link_is_told_as_a_whole_path(self, tmp_path):
        (tmp_path / "pg_wal").symlink_to("../wal")
        assert await reading.wal_directory(Server(), str(tmp_path)) == str(tmp_path.parent / "wal")

    async def test_a_folder_without_any_of_the_servers_segments_is_a_mount_of_its_own(self, tmp_path):
        (tmp_path / "pg_wal").mkdir()
        (tmp_path / "pg_wal" / "000000010000000000000001").touch()
        assert await reading.wal_directory(Server(), str(tmp_path)) == str(tmp_path / "pg_wal")

    @pytest.mark.parametrize("superuser", [True, False], ids=["no such folder", "the list is refused"])
    async def test_where_it_cannot_be_seen_nothing_is_said(self, tmp_path, superuser):
        if not superuser:
            (tmp_path / "pg_wal").mkdir()
        assert await reading.wal_directory(Server(superuser=superuser), str(tmp_path)) is None


@pytest.mark.parametrize(
    ("version", "family"),
    [
        (LINUX, "glibc"),
        ("PostgreSQL 17.6 on aarch64-unknown-linux-musl, compiled by gcc (Alpine 14.2.0) 14.2.0, 64-bit", "musl"),
        ("PostgreSQL 17.6 on x86_64-windows, compiled by msvc-19.44.35209, 64-bit", None),
        ("", None),
    ],
)
def test_the_c_library_is_told_by_the_platform(version, family):
    assert reading.libc(version) == family
