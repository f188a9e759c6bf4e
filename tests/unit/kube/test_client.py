"""One request and its answer: what is sent, and which error comes of which status."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from pgwarden.kube import errors
from tests.unit.kube.conftest import Script, event, gone, pod

PATH = "/api/v1/namespaces/ns/pods"


def answering(status: int, body: object):
    async def handler(_: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    return handler


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.Invalid),
        (401, errors.Unauthorized),
        (403, errors.Invalid),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (410, errors.Gone),
        (422, errors.Invalid),
        (429, errors.ApiError),
        (500, errors.ApiError),
    ],
)
async def test_each_status_is_its_error_with_the_servers_words(connect, status, kind):
    client = await connect(answering(status, {"kind": "Status", "reason": "Why", "message": "because"}))
    with pytest.raises(errors.ApiError) as raised:
        await client.get(PATH)
    assert type(raised.value) is kind
    assert (raised.value.status, raised.value.reason, raised.value.message) == (status, "Why", "because")


async def test_an_error_that_is_no_status_object_is_told_as_it_came(connect):
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=502, text="<html>bad gateway</html>")

    client = await connect(handler)
    with pytest.raises(errors.ApiError, match="bad gateway"):
        await client.get(PATH)


async def test_find_is_none_where_there_is_none_and_raises_all_else(connect):
    assert await (await connect(answering(404, {}))).find(PATH) is None
    with pytest.raises(errors.Invalid):
        await (await connect(answering(403, {}))).find(PATH)


async def test_apply_merge_create_and_delete_say_what_they_are(connect):
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.headers.get("Content-Type"), dict(request.query), await request.json()))
        assert request.headers["Authorization"] == "Bearer t0ken"
        return web.json_response({})

    client = await connect(handler)
    await client.apply(PATH, {"a": 1})
    await client.merge(PATH, {"b": None})
    await client.create(PATH, {"c": 3})
    assert await client.delete(PATH, uid="u-1")
    assert await client.delete(PATH, uid="u-1", grace_seconds=0)
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
    assert seen == [
        ("PATCH", "application/apply-patch+yaml", {"fieldManager": "pgwarden", "force": "true"}, {"a": 1}),
        ("PATCH", "application/merge-patch+json", {"fieldManager": "pgwarden"}, {"b": None}),
        ("POST", "application/json", {"fieldManager": "pgwarden"}, {"c": 3}),
        ("DELETE", "application/json", {}, options | {"preconditions": {"uid": "u-1"}}),
        ("DELETE", "application/json", {}, options | {"preconditions": {"uid": "u-1"}, "gracePeriodSeconds": 0}),
    ]


async def test_deleting_what_is_not_there_is_no_error(connect):
    assert not await (await connect(answering(404, {}))).delete(PATH, uid="u-1")


async def test_a_server_that_does_not_answer_in_time_is_a_timeout(connect):
    import asyncio

    async def handler(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    client = await connect(handler)
    with pytest.raises(TimeoutError):
        await client.get(PATH, seconds=0.05)


async def test_unknown_fields_of_an_object_come_back_untouched(connect):
    obj = pod("p", 1, spec={"fieldOfTomorrow": {"x": [1, {"y": None}]}})
    assert await (await connect(answering(200, obj))).get(PATH) == obj


async def test_a_watch_yields_objects_of_any_size_however_they_are_cut(connect, script: Script):
    """aiohttp's own line reader gives up at 64 KiB; an object may be a megabyte."""
    import json

    large = event("ADDED", pod("large", 2, data={"blob": "x" * 1_500_000, "text": "ö\n"}))
    line = json.dumps(large, ensure_ascii=False).encode() + b"\n"
    small = json.dumps(event("ADDED", pod("small", 3))).encode() + b"\n"
    middle = line.index("ö".encode()) + 1  # within a character
    script.watches = [[line[:middle], line[middle:] + small[:10], small[10:], b"\n"]]
    client = await connect(script.answer)
    assert [one async for one in client.watch(PATH, {"resourceVersion": "1"})] == [large, json.loads(small)]


async def test_a_watch_that_is_too_old_is_gone_by_status_or_by_event(connect, script: Script):
    script.watches = [[gone()]]
    with pytest.raises(errors.Gone, match="too old"):
        [one async for one in (await connect(script.answer)).watch(PATH, {})]
    refusing = await connect(answering(410, {"reason": "Expired"}))
    with pytest.raises(errors.Gone):
        [one async for one in refusing.watch(PATH, {})]


async def test_a_delete_without_the_uid_of_what_was_looked_at_is_refused(connect):
    client = await connect(answering(200, {}))
    with pytest.raises(TypeError):
        await client.delete(PATH)
    with pytest.raises(ValueError, match="names the uid"):
        await client.delete(PATH, uid="")


async def test_a_list_is_read_page_by_page(connect):
    asked = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        page = int(request.query.get("continue", "0"))
        following = {"continue": str(page + 1)} if page < 2 else {}
        return web.json_response({"items": [{"n": page}], "metadata": following})

    client = await connect(handler)
    assert [one["n"] async for one in client.items(PATH, {"labelSelector": "a"})] == [0, 1, 2]
    assert asked[0] == {"limit": "100", "labelSelector": "a"}
    assert asked[2] == {"limit": "100", "labelSelector": "a", "continue": "2"}


BODIES = {
    "nested": b"[" * 100_000,
    "a list": b"[1]",
    "details that are none": b'{"reason": "Forbidden", "message": "no", "details": [1]}',
    "causes that are none": b'{"reason": "Forbidden", "message": "no", "details": {"causes": {"a": 1}}}',
    "a cause that is none": b'{"reason": "Forbidden", "message": "no", "details": {"causes": ["x", null]}}',
    "not UTF-8": b'{"message": "\xff"}',
    "empty": b"",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_an_error_of_any_body_is_an_error_of_its_status(body):
    assert type(errors.from_body(403, body)) is errors.Invalid


def test_a_terminating_namespace_is_told_from_other_refusals():
    body = b'{"reason": "Forbidden", "message": "no", "details": {"causes": [{"reason": "NamespaceTerminating"}]}}'
    assert type(errors.from_body(403, body)) is errors.Terminating


async def test_no_more_requests_are_on_their_way_than_it_is_told_to(connect):
    now = most = 0

    async def handler(_: web.Request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return web.json_response({})

    client = await connect(handler, at_once=3)
    await asyncio.gather(*(client.get(PATH) for _ in range(12)))
    assert most == 3
