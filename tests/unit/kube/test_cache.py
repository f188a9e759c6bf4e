"""The watch cache against a scripted server: listing, resuming, listing again, and telling each change once."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import asynccontextmanager

import pytest
import structlog
from aiohttp import web

from harness.waiting import SLOWER
from pgwarden.kube import cache as module
from pgwarden.kube import index, sockets
from pgwarden.kube.cache import WatchCache
from pgwarden.kube.client import SILENCE
from tests.unit.kube.conftest import Script, event, gone, listed, pod

PATH = "/api/v1/pods"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "BACKOFF", (0.01,))
    with structlog.testing.capture_logs():  # tracebacks are not drawn for a terminal
        yield


@asynccontextmanager
async def running(client, **options):
    """A cache that runs, and what its listener was told, as (kind, name, version)."""
    cache, told = WatchCache(client, PATH, **options), []
    cache.listen(lambda kind, obj, _: told.append((kind, obj["metadata"]["name"], obj["metadata"]["resourceVersion"])))
    task = asyncio.create_task(cache.run())
    try:
        yield cache, told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def eventually(look):
    async with asyncio.timeout(20 * SLOWER):
        while not look():  # noqa: ASYNC110  what is looked at is a plain list
            await asyncio.sleep(0.005)


async def test_all_pages_are_listed_before_it_is_in_step(connect, script: Script):
    pages = {"": listed(9, pod("a", 1), **{"continue": "next"}), "next": listed(9, pod("b", 2))}

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return await script.answer(request)
        return web.json_response(pages[request.query.get("continue", "")])

    async with running(await connect(answer), label_selector="l=v", field_selector="f=v") as (cache, told):
        await cache.synced.wait()
        assert sorted(cache.items) == [("ns", "a"), ("ns", "b")]
        await eventually(lambda: script.asked)
    assert told == [("ADDED", "a", "1"), ("ADDED", "b", "2")]
    (query,) = script.queries(watch=True)
    assert query["resourceVersion"] == "9"
    assert (query["labelSelector"], query["fieldSelector"]) == ("l=v", "f=v")
    assert query["allowWatchBookmarks"] == "true"


async def test_changes_are_told_once_with_what_was_before(connect, script: Script):
    script.lists = [listed(5, pod("a", 5))]
    before_seen = []
    async with running(await connect(script.answer)) as (cache, told):
        cache.listen(lambda _kind, _obj, before: before_seen.append(before and before["metadata"]["resourceVersion"]))
        await cache.synced.wait()
        for one in (event("MODIFIED", pod("a", 6)), event("MODIFIED", pod("a", 6)), event("ADDED", pod("b", 7))):
            script.more.put_nowait(one)
        script.more.put_nowait(event("DELETED", pod("a", 8)))
        await eventually(lambda: len(told) >= 4)
    assert told == [("ADDED", "a", "5"), ("MODIFIED", "a", "6"), ("ADDED", "b", "7"), ("DELETED", "a", "6")]
    assert before_seen == [None, "5", None, "6"]
    assert list(cache.items) == [("ns", "b")]


async def test_a_watch_that_ends_is_resumed_where_it_was_without_another_list(connect, script: Script):
    script.lists = [listed(5)]
    bookmark = event("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "80"}})
    script.watches = [[event("ADDED", pod("a", 6))], [bookmark]]
    async with running(await connect(script.answer)) as (_, told):
        await eventually(lambda: len(script.queries(watch=True)) == 3)
    assert [one["resourceVersion"] for one in script.queries(watch=True)] == ["5", "6", "80"]
    assert len(script.queries(watch=False)) == 1
    assert told == [("ADDED", "a", "6")]


async def test_a_version_that_is_too_old_is_listed_again_and_the_difference_told(connect, script: Script):
    script.lists = [listed(5, pod("stays", 1), pod("changes", 2), pod("goes", 3)),
                    listed(50, pod("stays", 1), pod("changes", 40), pod("comes", 41))]  # fmt: skip
    script.watches = [[gone()]]
    async with running(await connect(script.answer)) as (_, told):
        await eventually(lambda: len(script.queries(watch=True)) == 2)
    assert told[3:] == [("MODIFIED", "changes", "40"), ("ADDED", "comes", "41"), ("DELETED", "goes", "3")]
    assert script.queries(watch=True)[1]["resourceVersion"] == "50"


class Silent:
    """The first watch goes silent for good after one event: no data, no end. The next one has news."""

    def __init__(self, script: Script, *, events: int = 1) -> None:
        self._script, self._events = script, events

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query or self._script.queries(watch=True):
            return await self._script.answer(request)
        self._script.asked.append(request)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for number in range(self._events):
            await response.write(json.dumps(event("MODIFIED", pod("a", 6 + number))).encode() + b"\n")
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("events", [0, 1], ids=["from the beginning", "after an event"])
async def test_a_connection_that_goes_silent_is_given_up_and_the_watch_resumed_without_a_list(
    connect, script: Script, events
):
    script.lists = [listed(5, pod("a", 1))]
    script.watches = [[event("MODIFIED", pod("a", 70))]]
    client = await connect(Silent(script, events=events).answer, silence=0.2)
    async with running(client) as (_, told):
        await eventually(lambda: told[-1:] == [("MODIFIED", "a", "70")])
    assert [one["resourceVersion"] for one in script.queries(watch=True)][:2] == ["5", "6"] if events else ["5", "5"]
    assert len(script.queries(watch=False)) == 1


async def test_a_quiet_watch_is_no_trouble(connect, script: Script):
    script.lists = [listed(5)]
    with structlog.testing.capture_logs() as logs:
        async with running(await connect(script.answer, silence=0.05)):
            await eventually(lambda: len(script.queries(watch=True)) > 3)
    assert [one for one in logs if one["log_level"] != "debug"] == []
    assert len(script.queries(watch=False)) == 1


async def test_a_watch_on_which_something_comes_in_time_stays(connect, script: Script):
    """A bookmark is enough."""
    script.lists = [listed(5)]
    async with running(await connect(script.answer, silence=5)) as (cache, told):
        for version in range(10, 20):
            await script.more.put(event("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": str(version)}}))
        await script.more.put(event("ADDED", pod("a", 30)))
        await eventually(lambda: told)
        assert cache.watchers[0].version == "30"
    assert len(script.queries(watch=True)) == 1


def test_a_dead_watch_is_noticed_within_about_a_minute_and_not_before_a_bookmark_is_due():
    """The API server sends one each minute."""
    assert 60 < SILENCE <= 75
    assert sockets.IDLE + sockets.PROBES * sockets.INTERVAL < 60
    assert sockets.UNACKNOWLEDGED < 60


def test_a_system_that_refuses_a_time_gets_a_connection_all_the_same(monkeypatch):
    monkeypatch.setattr(sockets, "_OPTIONS", {"TCP_KEEPIDLE": -1, "TCP_KEEPCNT": 3})
    with sockets.watched((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 1))) as made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3


async def test_the_kernel_watches_our_connections(connect, script: Script):
    script.lists = [listed(5)]
    client = await connect(script.answer)
    await client.get(PATH)
    (connections,) = client._session.connector._conns.values()
    used = connections[0][0].transport.get_extra_info("socket")
    options = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT]
    assert used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert [used.getsockopt(socket.IPPROTO_TCP, one) for one in options] == [15, 10, 3, 30_000]


@pytest.mark.parametrize("ending", [[], [b"{cut"]], ids=["which ends the watch", "which breaks the watch"])
async def test_a_restore_of_etcd_is_listed_though_the_watch_would_be_silent(connect, script: Script, ending):
    script.lists = [listed(500, pod("undone", 400), pod("stays", 80)), listed(90, pod("stays", 80), pod("back", 70))]
    script.watches = [ending]
    script.newest = 90
    async with running(await connect(script.answer)) as (cache, told):
        await eventually(lambda: len(script.queries(watch=True)) == 2)
        assert sorted(cache.items) == [("ns", "back"), ("ns", "stays")]
    assert told[2:] == [("ADDED", "back", "70"), ("DELETED", "undone", "400")]
    assert script.queries(watch=True)[1]["resourceVersion"] == "90"


@pytest.mark.parametrize(("status", "lists"), [(500, 2), (503, 2), (403, 2), (429, 1)])
async def test_after_an_error_it_is_listed_again_but_not_by_who_comes_too_often(connect, script: Script, status, lists):
    """What API servers that come back after an etcd restore have written meanwhile may hide that it went back."""
    refusals = [web.json_response({"message": "no"}, status=status)]

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query and refusals:
            return refusals.pop()
        return await script.answer(request)

    script.lists = [listed(5)]
    async with running(await connect(answer)):
        await eventually(lambda: script.queries(watch=True))
    assert len(script.queries(watch=False)) == lists


async def test_after_an_api_server_that_was_away_it_is_listed_again(connect, script: Script):
    script.lists = [listed(5, pod("a", 1)), listed(50, pod("a", 40))]
    ends = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query and not ends.is_set():
            script.asked.append(request)
            await ends.wait()
            return web.Response()
        return await script.answer(request)

    client = await connect(answer)
    with structlog.testing.capture_logs() as logs:
        async with running(client) as (_, told):
            await eventually(lambda: script.queries(watch=True))
            there, client._access.server = client._access.server, "http://127.0.0.1:1"
            ends.set()
            await eventually(lambda: any("Cannot connect" in one.get("error", "") for one in logs))
            client._access.server = there
            await eventually(lambda: told[-1:] == [("MODIFIED", "a", "40")])


@pytest.mark.parametrize("status", [403, 429, 500, 503])
async def test_a_server_in_trouble_is_asked_again_until_it_answers(connect, script: Script, status):
    broken = web.Response(status=status, text="{}")
    script.lists = [broken, listed(5, pod("a", 1))]
    async with running(await connect(script.answer)) as (cache, told):
        await asyncio.wait_for(cache.synced.wait(), 5 * SLOWER)
    assert told == [("ADDED", "a", "1")]


async def test_a_line_that_is_no_json_breaks_the_watch_and_not_the_cache(connect, script: Script):
    script.lists = [listed(5)]
    script.watches = [[b"{broken\n"], [event("ADDED", pod("a", 6))]]
    async with running(await connect(script.answer)) as (_, told):
        await eventually(lambda: told == [("ADDED", "a", "6")])


@pytest.mark.parametrize("ending", [[], [gone()]], ids=["cut", "too old"])
async def test_watches_that_end_at_once_are_not_asked_for_without_a_pause(connect, script: Script, monkeypatch, ending):
    """A proxy that cuts every stream, or a version that is always too old, must not become a flood of requests."""
    monkeypatch.setattr(module, "BACKOFF", (0.05,))
    script.lists = [listed(5)]
    script.watches = [list(ending) for _ in range(50)]
    began = time.monotonic()
    async with running(await connect(script.answer)):
        await eventually(lambda: len(script.queries(watch=True)) > 10)
    assert time.monotonic() - began > 10 * 0.05 * 0.8


async def test_managed_fields_are_not_kept(connect, script: Script):
    obj = pod("a", 1)
    obj["metadata"]["managedFields"] = [{"manager": "x"}]
    script.lists = [listed(5, obj)]
    async with running(await connect(script.answer)) as (cache, _):
        await cache.synced.wait()
        assert "managedFields" not in cache.get("ns", "a")["metadata"]
        assert [one["metadata"]["name"] for one in cache.in_namespace("ns")] == ["a"]
        assert list(cache.in_namespace("other")) == []


#: Objects that nobody has thought of. A name and a version each has: it is by those that the API server keeps it.
ODD = {
    "no labels": {"metadata": {"labels": None}},
    "labels that are none": {"metadata": {"labels": ["x"]}},
    "no spec": {"spec": None},
    "a spec that is none": {"spec": "x"},
    "a repository that is none": {"spec": {"repository": ["hippo"]}},
    "a status that is none": {"status": 5},
}


def odd(version: int, change: dict) -> dict:
    made = pod("odd", version, **{key: value for key, value in change.items() if key != "metadata"})
    made["metadata"] |= change.get("metadata", {})
    return made


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
async def test_an_odd_object_among_healthy_ones_is_passed_over_alone(connect, script: Script, change):
    script.lists = [listed(5, pod("a", 1, spec={"repository": "hippo"}), odd(2, change))]
    script.watches = [[event("MODIFIED", odd(6, change)), event("ADDED", pod("b", 7, spec={"repository": "hippo"})),
                       event("DELETED", odd(8, change))]]  # fmt: skip
    indexes = {"repository": index.repository, "l": index.label("l")}
    async with running(await connect(script.answer), indexes=indexes) as (cache, told):
        cache.listen(lambda _kind, obj, _: obj["spec"]["repository"].upper())
        await eventually(lambda: ("DELETED", "odd", "6") in told)
        assert sorted(one["metadata"]["name"] for one in cache.by("repository", ("ns", "hippo"))) == ["a", "b"]


async def test_a_listener_that_breaks_over_one_object_hears_of_the_others_and_so_do_all_others(connect, script: Script):
    script.lists = [listed(5, pod("a", 1), pod("poison", 2), pod("b", 3))]
    heard = []

    def breaks(_kind, obj, _before):
        if obj["metadata"]["name"] == "poison":
            raise RecursionError("nested")
        heard.append(obj["metadata"]["name"])

    client = await connect(script.answer)
    cache, told = WatchCache(client, PATH), []
    cache.listen(breaks)
    cache.listen(lambda _kind, obj, _before: told.append(obj["metadata"]["name"]))
    with structlog.testing.capture_logs() as logged:
        task = asyncio.create_task(cache.run())
        await asyncio.wait_for(cache.synced.wait(), 20 * SLOWER)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert heard == ["a", "b"]
    assert told == ["a", "poison", "b"]
    assert [(line["event"], line["namespace"], line["name"]) for line in logged] == [
        ("an object was passed over", "ns", "poison")
    ]


async def test_what_nobody_thought_of_is_tried_again_like_all_else(connect, script: Script, monkeypatch):
    script.lists = [listed(5, pod("a", 1))]
    client = await connect(script.answer)
    broken, page = [RecursionError("nested"), KeyError("items")], client.page

    async def breaks(*args, **kwargs):
        if broken:
            raise broken.pop()
        return await page(*args, **kwargs)

    monkeypatch.setattr(client, "page", breaks)
    async with running(client) as (cache, _):
        await asyncio.wait_for(cache.synced.wait(), 20 * SLOWER)
    assert not broken
