"""Who may call the agent, before and after its certificates are replaced. Real TLS on a loopback port."""

from __future__ import annotations

import json
import ssl
from types import SimpleNamespace

import aiohttp
import pytest

from agent import server
from agent.archives import Archives
from agent.calls import State
from agent.children import Children
from agent.info_reader import Known
from agent.pgbackrest import Runner
from agent.supervisor import Supervisor
from agent.sync import Syncer
from pgwarden.contract.calls import InfoAsOf, Outcome
from pgwarden.contract.environment import Role, Settings
from pgwarden.contract.status import Immutable, Volume

HOST = "hippo-host"


class FakeRepository:
    archives = Archives("hippo", None, dict)
    immutables = SimpleNamespace(told=lambda: (Immutable(repo=1, versioning="Enabled"),))

    async def info(self, *, refresh=False):
        return Known({"refreshed": refresh}, "", 12.9)

    async def volume(self):
        return Volume(mounted=True, size=2, free=1)

    async def set_aside(self):
        return Outcome(ok=True, output="set-aside/20261128-120000")

    @property
    def past(self):
        async def get(repo, time):
            return InfoAsOf(ok=True, info={"repo": repo, "time": time})

        return SimpleNamespace(get=get)

    async def expire(self, repo, label, archives_of):
        return Outcome(ok=True, output=f"{repo} {label} {archives_of}")

    async def stanza_create(self, repo=0):
        return Outcome(ok=True, exit_code=0, output="")


class Door:
    """A listening server, and how it is called."""

    def __init__(self, paths, source, tmp_path, port):
        self._paths, self._source, self._tmp, self._port = paths, source, tmp_path, port
        children = Children()
        state = State(Settings(Role.REPOSITORY, "hippo"), Supervisor(Runner(paths, children), children))
        self.server = server.Server(paths, server.application(state, repository=FakeRepository()), port)

    async def trust(self, authority):
        certificate, key = authority.leaf(HOST)
        files = {"host.conf": b"[global]\n", "ca.crt": authority.pem, "tls.crt": certificate, "tls.key": key}
        self._source.publish(files)
        Syncer(self._paths, "host.conf").sync()
        await self.server.reload()

    async def call(self, authority, name="pgwarden-controller", path="status", method="GET", client=None):
        answer = await self.answer(authority, name, path, method, client)
        return answer.status, await answer.text()

    async def answer(self, authority, name="pgwarden-controller", path="status", method="GET", client=None):
        context = ssl.create_default_context(cadata=authority.pem.decode())
        if name:
            certificate, key = (client or authority).leaf(name)
            (self._tmp / "c.crt").write_bytes(certificate)
            (self._tmp / "c.key").write_bytes(key)
            context.load_cert_chain(self._tmp / "c.crt", self._tmp / "c.key")
        url = f"https://127.0.0.1:{self._port}/{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, ssl=context, server_hostname=HOST) as answer,
        ):
            await answer.read()
            return answer


@pytest.fixture
async def door(paths, source, authority, tmp_path, unused_tcp_port):
    door = Door(paths, source, tmp_path, unused_tcp_port)
    await door.trust(authority)
    yield door
    await door.server.close()


async def test_the_controller_is_answered(door, authority):
    code, body = await door.call(authority, path="status?refresh=1")
    assert code == 200
    answer = json.loads(body)
    assert answer["role"] == "repository"
    assert answer["server"] == {"running": False, "restarts": 0}
    assert answer["info"] == {"refreshed": True}
    assert answer["infoAge"] == 12
    assert [one["versioning"] for one in answer["immutable"]] == ["Enabled"]
    assert (answer["volume"]["size"], answer["volume"]["free"]) == (2, 1)


@pytest.mark.parametrize("name", ["hippo-pods", "hippo-host", "pgwarden-controller.evil"])
async def test_another_name_of_the_same_authority_is_forbidden(door, authority, name):
    assert (await door.call(authority, name))[0] == 403


async def test_no_certificate_or_another_authoritys_is_refused_by_tls(door, authority, other_authority):
    with pytest.raises(aiohttp.ClientError):
        await door.call(authority, name="")
    with pytest.raises(aiohttp.ClientError):
        await door.call(authority, client=other_authority)


async def test_after_a_change_of_the_authority_only_the_new_one_counts(door, authority, other_authority):
    await door.trust(other_authority)
    assert (await door.call(other_authority))[0] == 200
    with pytest.raises(aiohttp.ClientError):
        await door.call(other_authority, client=authority)
    with pytest.raises(aiohttp.ClientError):
        await door.call(authority)


@pytest.mark.parametrize(
    ("size", "said"), [(0, ""), (server.LARGE, "close")], ids=["a small one", "one of many backup sets"]
)
async def test_a_large_answer_is_its_connections_last(door, authority, monkeypatch, size, said):
    async def info(_self, *, refresh=False):
        return Known({"refreshed": refresh, "backup": "x" * size}, "", 12.9)

    monkeypatch.setattr(FakeRepository, "info", info)
    assert (await door.answer(authority)).headers.get("Connection", "") == said


async def test_calls_of_the_other_role_are_not_there(door, authority):
    assert (await door.call(authority, path="fence", method="POST"))[0] == 404
    assert (await door.call(authority, path="stanza-create", method="POST"))[0] == 200
    assert (await door.call(authority, path="stanza-create"))[0] == 405


@pytest.mark.parametrize(
    ("certificate", "expected"),
    [
        (None, ""),
        ({}, ""),
        ({"subject": ((("commonName", "a"),),)}, "a"),
        ({"subject": ((("commonName", "a"),), (("commonName", "b"),))}, ""),
    ],
    ids=["none", "empty", "one", "two are none"],
)
def test_common_name(certificate, expected):
    assert server.common_name(certificate) == expected


async def test_a_full_backup_is_expired_by_its_label_and_nothing_else_by_that_call(door, authority):
    status, text = await door.call(authority, path="expire?repo=1&set=20261101-000000F&archives-of=2", method="POST")
    assert (status, json.loads(text)["output"]) == (200, "1 20261101-000000F 2")
    for wrong in (
        "repo=0&set=20261101-000000F&archives-of=2",
        "repo=1&set=20261101-000000F_20261102-000000I&archives-of=2",
        "repo=1&set=--force&archives-of=2",
        "repo=1&set=20261101-000000F",
        "",
    ):
        status, _ = await door.call(authority, path=f"expire?{wrong}", method="POST")
        assert status == 400


async def test_what_a_storage_held_is_asked_by_its_number_and_a_time(door, authority):
    path = "info-as-of?repo=2&time=2026-11-23T09:00:00Z"
    status, text = await door.call(authority, path=path, method="POST")
    assert (status, json.loads(text)["info"]) == (200, {"repo": 2, "time": "2026-11-23T09:00:00Z"})
    for wrong in ("repo=0&time=2026-11-23T09:00:00Z", "repo=2&time=yesterday", "repo=2&time=2026-11-23T09:00:00", ""):
        status, _ = await door.call(authority, path=f"info-as-of?{wrong}", method="POST")
        assert status == 400
