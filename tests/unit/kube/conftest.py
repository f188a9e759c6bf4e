"""An API server that says what a test has scripted, on the wire: the client under test is the real one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from pgwarden.kube.credentials import Token

Object = dict[str, Any]


def pod(name: str, version: int, **more: Any) -> Object:
    metadata = {"name": name, "namespace": "ns", "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata} | more


def event(kind: str, obj: Object) -> Object:
    return {"type": kind, "object": obj}


def gone() -> Object:
    return event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})


@dataclass
class Script:
    """Lists and watches are answered in the order given; a watch with nothing left to say stays open."""

    lists: list[Object | web.Response] = field(default_factory=list)
    watches: list[list[Object | bytes]] = field(default_factory=list)
    asked: list[web.Request] = field(default_factory=list)
    more: asyncio.Queue[Object] = field(default_factory=asyncio.Queue)
    newest: int = 10**6  # the version that is said to whoever asks for one object, to learn it

    def queries(self, *, watch: bool) -> list[dict[str, str]]:
        """Of the lists, those of all objects."""
        return [dict(one.query) for one in self.asked if ("watch" in one.query) == watch]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("limit") == "1":
            return web.json_response(listed(self.newest))
        self.asked.append(request)
        if "watch" in request.query:
            return await self._watch(request)
        found = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        return found if isinstance(found, web.Response) else web.json_response(found)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if self.watches:
            for one in self.watches.pop(0):
                await response.write(one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n")
            return response
        while True:
            await response.write(json.dumps(await self.more.get()).encode() + b"\n")


def listed(version: int, *items: Object, **metadata: str) -> Object:
    return {"kind": "PodList", "metadata": {"resourceVersion": str(version), **metadata}, "items": list(items)}


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[Any], Any]]:
    """A client of a server whose every request goes to the handler given."""
    opened: list[Any] = []

    async def connected(handler: Any, **options: Any) -> KubeClient:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        server = TestServer(app, shutdown_timeout=0.1)
        await server.start_server()
        client = KubeClient(Access(str(server.make_url("")).rstrip("/"), None, Token("t0ken")), **options)
        opened.extend((client, server))
        return client

    yield connected
    for one in opened:
        await one.close()
