"""Credentials that are renewed, against a real HTTPS server that takes the newest alone. The clock is passed in."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from pgwarden.kube import access, credentials, errors
from pgwarden.kube.client import KubeClient
from pgwarden.kube.credentials import TOKEN_TTL, ExecPlugin, Loaded, TokenFile
from tests.unit.plain_ca import NOW, Signed, serving, signed

CA = signed("kubernetes")
LEAF = signed("kube-apiserver", CA, address="127.0.0.1")
VERSION = "client.authentication.k8s.io/v1"
LIFE = timedelta(minutes=15)


class Plugin:
    """A program that prints `token-1`, then `token-2` and so on; each is good until `expires`."""

    def __init__(self, folder: Path) -> None:
        self._count, self._status, self.path = folder / "count", folder / "status", folder / "login"
        self._count.write_text("0")
        self.path.write_text(
            f'#!/bin/sh\nn=$(($(cat {self._count}) + 1)); echo $n >{self._count}\nsed "s/NUMBER/$n/" {self._status}\n'
        )
        self.path.chmod(0o755)
        self.prints(NOW + LIFE)

    def prints(self, expires: Any, **more: Any) -> None:
        when = {"expirationTimestamp": expires.isoformat().replace("+00:00", "Z")} if expires else {}
        status = {"token": "token-NUMBER"} | when | more
        self._status.write_text(json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": status}))

    @property
    def runs(self) -> int:
        return int(self._count.read_text())


class Server:
    """Answers whoever shows the newest token, and 401 to all others."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin, self.seen = plugin, list[str]()
        self.revoked = 0

    async def answer(self, request: web.Request) -> web.Response:
        shown = request.headers.get("Authorization", "")
        self.seen.append(shown.removeprefix("Bearer "))
        if shown != f"Bearer token-{self.plugin.runs}" or self.plugin.runs <= self.revoked:
            return web.json_response({"kind": "Status", "reason": "Unauthorized", "message": "who?"}, status=401)
        return web.json_response({"metadata": {"name": "x"}})


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


@pytest.fixture
def server(plugin: Plugin) -> Server:
    return Server(plugin)


@pytest.fixture
async def listening(server: Server, tmp_path: Path):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    made = TestServer(app, host="127.0.0.1")
    await made.start_server(ssl=serving(LEAF, tmp_path))
    yield made
    await made.close()


def written(folder: Path, port: int | None, user: dict[str, Any], **cluster: Any) -> str:
    ca = base64.b64encode(CA.pem).decode()
    there = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": ca} | cluster
    document = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": there}],
        "users": [{"name": "u", "user": user}],
    }
    (folder / "config").write_text(yaml.safe_dump(document))
    return str(folder / "config")


@pytest.fixture
async def found(listening: TestServer, plugin: Plugin, tmp_path: Path) -> access.Access:
    user = {"exec": {"apiVersion": VERSION, "command": str(plugin.path)}}
    made = await access.from_kubeconfig(written(tmp_path, listening.port, user))
    assert isinstance(made.credentials, ExecPlugin)
    made.credentials.clock = lambda: NOW
    return made


async def test_a_token_that_expires_is_renewed_and_no_sooner(found, plugin: Plugin, server: Server):
    """As `--wait` needs it, which looks for longer than a token lives."""
    async with KubeClient(found) as client:
        for minute in range(40):
            found.credentials.clock = lambda now=NOW + timedelta(minutes=minute): now
            plugin.prints(found.credentials.clock() + LIFE)
            await client.get("/x")
    assert server.seen == ["token-1"] * 15 + ["token-2"] * 15 + ["token-3"] * 10


async def test_many_requests_at_once_run_it_once(found, plugin: Plugin, server: Server):
    found.credentials.clock = lambda: NOW + LIFE
    plugin.prints(NOW + 2 * LIFE)
    async with KubeClient(found) as client:
        await asyncio.gather(*(client.get("/x") for _ in range(8)))
    assert server.seen == ["token-2"] * 8


@pytest.mark.parametrize("expires", [NOW + LIFE, None], ids=["before it expires", "which never expires"])
async def test_a_token_that_is_refused_is_renewed_and_the_request_sent_again(found, plugin, server, expires):
    plugin.prints(expires)
    server.revoked = 1
    async with KubeClient(found) as client:
        assert await client.get("/x")
        assert await client.get("/x")
    assert server.seen == ["token-1", "token-2", "token-2"]


async def test_who_is_refused_with_a_new_token_as_well_is_told_so(found, server: Server):
    server.revoked = 99
    async with KubeClient(found) as client:
        with pytest.raises(errors.Unauthorized, match="who"):
            await client.get("/x")
    assert server.seen == ["token-1", "token-2"]


async def test_a_plug_in_that_fails_later_is_asked_again(found, plugin: Plugin):
    found.credentials.clock = lambda: NOW + LIFE
    good = plugin.path.read_text()
    plugin.path.write_text("#!/bin/sh\necho 'no network' >&2\nexit 1\n")
    async with KubeClient(found) as client:
        with pytest.raises(OSError, match=r"failed with exit code 1: no network"):
            await client.get("/x")
        plugin.path.write_text(good)
        plugin.prints(NOW + 2 * LIFE)
        assert await client.get("/x")


async def test_a_client_certificate_of_a_plug_in_is_shown_and_renewed(tmp_path: Path, plugin: Plugin):
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        shown = request.transport.get_extra_info("peercert")
        seen.append(dict(pair[0] for pair in shown["subject"])["commonName"])
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/x", answer)
    (tmp_path / "ca.crt").write_bytes(CA.pem)
    context = serving(LEAF, tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(tmp_path / "ca.crt")
    listening = TestServer(app, host="127.0.0.1")
    await listening.start_server(ssl=context)

    def of(person: Signed) -> dict[str, str]:
        return {"clientCertificateData": person.pem.decode(), "clientKeyData": person.key_pem.decode()}

    plugin.prints(NOW + LIFE, **of(signed("jane", CA)))
    user = {"exec": {"apiVersion": VERSION, "command": str(plugin.path)}}
    made = await access.from_kubeconfig(written(tmp_path, listening.port, user))
    assert isinstance(made.credentials, ExecPlugin)
    made.credentials.clock = lambda: NOW
    async with KubeClient(made) as client:
        await client.get("/x")
        plugin.prints(NOW + 2 * LIFE, **of(signed("jane-again", CA)))
        made.credentials.clock = lambda: NOW + LIFE
        await client.get("/x")
    await listening.close()
    assert seen == ["jane", "jane-again"]


async def test_a_token_file_is_read_again_after_a_minute(tmp_path: Path):
    now, path = [1000.0], tmp_path / "token"
    path.write_text("one\n")
    of_pod = TokenFile(path, clock=lambda: now[0])
    found = await access.from_kubeconfig(written(tmp_path, 1, {"tokenFile": str(path)}))
    assert isinstance(found.credentials, Loaded)
    of_kubeconfig = credentials.Loaded(found.credentials.loader, found.credentials.configuration, clock=lambda: now[0])
    for each in (of_pod, of_kubeconfig):
        path.write_text("one\n")
        assert (await each.authorization()).strip() == "Bearer one"
        path.write_text("two\n")
        assert (await each.authorization()).strip() == "Bearer one"
        now[0] += TOKEN_TTL + 1
        assert (await each.authorization()).strip() == "Bearer two"


async def test_a_token_file_that_is_gone_is_a_sentence(tmp_path: Path):
    now, path = [1000.0], tmp_path / "token"
    path.write_text("one")
    found = await access.from_kubeconfig(written(tmp_path, 1, {"tokenFile": str(path)}))
    assert isinstance(found.credentials, Loaded)
    found.credentials.clock = lambda: now[0] + 10**9
    path.unlink()
    with pytest.raises(OSError, match="the kubeconfig's credentials cannot be renewed: "):
        await found.headers()


NAMED = signed("api.example.test", CA, dns="api.example.test")


@pytest.fixture
async def named(tmp_path: Path):
    """An API server whose certificate has another name than its address."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/x", answer)
    made = TestServer(app, host="127.0.0.1")
    await made.start_server(ssl=serving(NAMED, tmp_path))
    yield made
    await made.close()


async def test_the_servers_certificate_is_checked_for_the_name_that_the_kubeconfig_says(named, tmp_path: Path):
    path = written(tmp_path, named.port, {"token": "t"}, **{"tls-server-name": "api.example.test"})
    async with KubeClient(await access.from_kubeconfig(path)) as client:
        assert await client.get("/x") == {}
    async with KubeClient(await access.from_kubeconfig(written(tmp_path, named.port, {"token": "t"}))) as client:
        with pytest.raises(OSError, match="mismatch"):
            await client.get("/x")


async def test_a_proxy_is_gone_through_and_the_server_behind_it_checked(named, tmp_path: Path):
    asked: list[str] = []

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[0])
        behind = await asyncio.open_connection("127.0.0.1", named.port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(_pump(reader, behind[1]), _pump(behind[0], writer))

    proxy = await asyncio.start_server(tunnel, "127.0.0.1")
    url = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    more = {"server": "https://api.nowhere.invalid:6443", "tls-server-name": "api.example.test", "proxy-url": url}
    async with KubeClient(await access.from_kubeconfig(written(tmp_path, 0, {"token": "t"}, **more))) as client:
        assert await client.get("/x") == {}
    proxy.close()
    assert asked == ["CONNECT api.nowhere.invalid:6443 HTTP/1.1"]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while some := await reader.read(65536):
        writer.write(some)
    writer.close()
