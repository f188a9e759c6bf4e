"""A watch cache of some namespaces: one watch of each, into one cache, none of which knows of the others."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
import structlog
from aiohttp import web

from pgwarden.kube import cache as module
from pgwarden.kube import paths
from pgwarden.kube.cache import WatchCache
from tests.unit.kube.conftest import Script, event, gone, listed, pod
from tests.unit.kube.test_cache import eventually

REFUSED = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "cannot list resource"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "BACKOFF", (0.01,))
    monkeypatch.setattr(module, "REFUSED", 0.05)
    with structlog.testing.capture_logs() as logs:
        yield logs


def of(namespace: str, name: str, version: int) -> dict:
    made = pod(name, version)
    made["metadata"]["namespace"] = namespace
    return made


def many() -> list[web.Response]:
    """Each is an answer once."""
    return [web.json_response(REFUSED, status=403) for _ in range(40)]


class Spaces:
    """The script of each namespace."""

    def __init__(self, **scripts: Script) -> None:
        self.scripts = scripts

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.path.startswith("/api/v1/namespaces/"), "nothing is asked across all"
        return await self.scripts[request.path.split("/")[4]].answer(request)


@asynccontextmanager
async def running(client, *namespaces: str, **options):
    cache, told = WatchCache(client, paths.each("pods", namespaces), **options), []
    cache.listen(lambda kind, obj, _: told.append((kind, *module.key_of(obj))))
    task = asyncio.create_task(cache.run())
    try:
        yield cache, told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_without_namespaces_there_is_one_path_across_all():
    assert paths.each("pods", ()) == {"": "/api/v1/pods"}
    assert list(paths.each("pods", ("a", "b")).values()) == ["/api/v1/namespaces/a/pods", "/api/v1/namespaces/b/pods"]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
async def test_objects_of_each_namespace_are_in_one_cache(connect, packed):
    spaces = Spaces(a=Script([listed(5, of("a", "x", 1))]), b=Script([listed(7, of("b", "x", 2))]))
    client = await connect(spaces.answer)
    async with running(client, "a", "b", packed=packed, label_selector="l=v") as (cache, told):
        await eventually(cache.synced.is_set)
        await spaces.scripts["b"].more.put(event("ADDED", of("b", "y", 9)))
        await eventually(lambda: len(told) == 3)
        assert sorted(cache.items) == [("a", "x"), ("b", "x"), ("b", "y")]
        assert [one["metadata"]["name"] for one in cache.in_namespace("a")] == ["x"]
    assert {name: one.queries(watch=True)[0]["resourceVersion"] for name, one in spaces.scripts.items()} == {
        "a": "5",
        "b": "7",
    }
    assert all(query["labelSelector"] == "l=v" for one in spaces.scripts.values() for query in one.queries(watch=False))


async def test_it_is_in_step_once_the_last_namespace_is_listed(connect):
    may = asyncio.Event()
    slow = Script([listed(7, of("b", "x", 2))])

    async def answer(request: web.Request) -> web.StreamResponse:
        if "/b/" in request.path:
            await may.wait()
        return await Spaces(a=quick, b=slow).answer(request)

    quick = Script([listed(5, of("a", "x", 1))])
    async with running(await connect(answer), "a", "b") as (cache, told):
        await eventually(lambda: told)
        assert not cache.synced.is_set()
        may.set()
        await eventually(cache.synced.is_set)
        assert ("b", "x") in cache.items


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
async def test_a_new_list_of_one_namespace_drops_nothing_of_another(connect, packed):
    spaces = Spaces(
        a=Script([listed(5, of("a", "stays", 1), of("a", "goes", 2)), listed(50, of("a", "stays", 1))], [[gone()]]),
        b=Script([listed(7, of("b", "goes", 3))]),
    )
    async with running(await connect(spaces.answer), "a", "b", packed=packed) as (cache, told):
        await eventually(lambda: ("DELETED", "a", "goes") in told)
        assert sorted(cache.items) == [("a", "stays"), ("b", "goes")]
    assert [one for one in told if one[0] == "DELETED"] == [("DELETED", "a", "goes")]
    assert len(spaces.scripts["b"].queries(watch=False)) == 1


async def test_a_namespace_that_is_removed_takes_its_objects_and_holds_up_no_other(connect):
    """Its objects are told to go; then its Role is gone, and nothing of it may be read."""
    removed = Script([listed(5, of("a", "x", 1)), *many()], [[event("DELETED", of("a", "x", 6)), gone()]])
    spaces = Spaces(a=removed, b=Script([listed(7)]))
    async with running(await connect(spaces.answer), "a", "b") as (cache, told):
        await eventually(lambda: len(removed.queries(watch=False)) > 3)
        await spaces.scripts["b"].more.put(event("ADDED", of("b", "y", 9)))
        await eventually(lambda: ("ADDED", "b", "y") in told)
        assert list(cache.items) == [("b", "y")]


async def test_a_namespace_that_may_not_be_read_for_a_moment_keeps_what_is_known_of_it(connect):
    spaces = Spaces(a=Script([listed(5, of("a", "x", 1)), *many()], [[gone()]]), b=Script([listed(7)]))
    async with running(await connect(spaces.answer), "a", "b") as (cache, _):
        await eventually(lambda: len(spaces.scripts["a"].queries(watch=False)) > 10)
        assert list(cache.items) == [("a", "x")]


async def test_a_namespace_that_cannot_be_read_is_done_without_and_taken_up_when_it_can(connect, quick):
    late = Script([*many(), listed(5, of("a", "x", 1))])
    spaces = Spaces(a=late, b=Script([listed(7, of("b", "x", 2))]))
    async with running(await connect(spaces.answer), "a", "b") as (cache, told):
        await eventually(cache.synced.is_set)
        assert [one["path"] for one in quick if one["log_level"] == "error"] == ["/api/v1/namespaces/a/pods"]
        assert told == [("ADDED", "b", "x")]
        await eventually(lambda: ("ADDED", "a", "x") in told)
    assert len([one for one in quick if one["log_level"] == "error"]) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_namespace_whose_server_is_in_trouble_is_waited_for(connect, status):
    trouble = [web.Response(status=status, text="{}") for _ in range(20)]
    spaces = Spaces(a=Script([*trouble, listed(5, of("a", "x", 1))]), b=Script([listed(7)]))
    async with running(await connect(spaces.answer), "a", "b") as (cache, told):
        await eventually(cache.synced.is_set)
        assert told == [("ADDED", "a", "x")]


async def test_all_namespaces_at_once_that_may_not_be_read_are_waited_for(connect):
    """There is nothing else to do: without the right there would be nothing to work on."""
    script = Script([*many(), listed(5, pod("x", 1))])
    cache = WatchCache(await connect(script.answer), paths.each("pods", ()))
    task = asyncio.create_task(cache.run())
    await eventually(cache.synced.is_set)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert list(cache.items) == [("ns", "x")]
