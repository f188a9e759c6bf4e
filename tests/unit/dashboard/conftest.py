"""An API server on the wire that holds objects, and the page in front of it: reader, client and server are the real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from pgwarden.api.registry import BY_PLURAL
from pgwarden.cli.session import Session
from pgwarden.dashboard.reading import Reader
from pgwarden.dashboard.shell import Pages
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from pgwarden.kube.credentials import Token
from tests.unit.dashboard.fleet import NOW, Object

TOKEN = "t0ken-of-the-page"


@dataclass
class Api:
    """Lists of our kinds by plural; what is `refused` has a Status instead. `open_` unset: it holds every answer back."""

    there: dict[str, list[Object]] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    open_: asyncio.Event = field(default_factory=asyncio.Event)

    def hold(self, *objects: Object) -> None:
        plurals = {kind.name: plural for plural, kind in BY_PLURAL.items()}
        for obj in objects:
            self.there.setdefault(plurals[obj["kind"]], []).append(obj)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path))
        await self.open_.wait()
        plural = request.path.rpartition("/")[2]
        if plural in self.refused or "*" in self.refused:
            code = self.refused.get(plural) or self.refused["*"]
            status = {"kind": "Status", "code": code, "message": f"{plural} says {code}"}
            return web.json_response(status, status=code)
        where = request.path.split("/namespaces/")[1].split("/")[0] if "/namespaces/" in request.path else ""
        items = [one for one in self.there.get(plural, []) if where in {"", one["metadata"]["namespace"]}]
        return web.json_response(
            {"metadata": {}, "items": [{k: v for k, v in o.items() if k != "kind"} for o in items]}
        )


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Site:
    """The page, as a browser asks for it."""

    client: TestClient[Any, Any]
    reader: Reader

    async def get(self, path: str = "/", method: str = "GET", **headers: str) -> ClientResponse:
        named = {"Host": "127.0.0.1:4000"} | {key.replace("_", "-"): value for key, value in headers.items()}
        return await self.client.request(method, f"/{TOKEN}{path}", headers=named)

    async def text(self, path: str = "/") -> str:
        return await (await self.get(path)).text()


@pytest.fixture
def api() -> Api:
    made = Api()
    made.open_.set()
    return made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def server(api: Api) -> AsyncIterator[TestServer]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.answer)
    made = TestServer(app, shutdown_timeout=0.1)
    await made.start_server()
    yield made
    api.open_.set()
    await made.close()


@pytest.fixture
async def site(server: TestServer, clock: Clock, aiohttp_client: Any) -> AsyncIterator[Site]:
    """Of all namespaces. It has read nothing yet: `await site.reader.start()`."""
    async with KubeClient(Access(str(server.make_url("")).rstrip("/"), None, Token("x"))) as client:
        reader = Reader(Session(client, "ns"), "", clock)
        pages = Pages(reader, TOKEN, "all namespaces", ("--context=lab",), clock)
        yield Site(await aiohttp_client(pages.app()), reader)
        await reader.close()
