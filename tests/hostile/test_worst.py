"""Every field of every kind at its worst, and pods likewise: answered at once, in little memory, in a few sentences."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from bench.webhook import shapes
from pgwarden.api.registry import BY_NAME as KINDS
from pgwarden.api.schema import types, validators
from pgwarden.injection.pods import Pod
from tests.hostile import world, worst
from webhook import review
from webhook.review import Typed

CPU = 0.3  # seconds of the event loop's own; 0.06 at most on a quiet machine. The code before took 1 to 93
WORK = 1_500_000  # turns of a loop, a yardstick
QUIET = 0.031  # seconds that they take on a quiet machine
MEMORY = 32 * 1024 * 1024
ANSWER = 64 * 1024
FIELDS = worst.fields()


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> Iterator[None]:
    """As the webhook does when it starts; what a thousand tests left in memory is not its to look through."""
    _ = validators(), types()
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def asked(body: bytes, handler: Any) -> tuple[float, review.Reply]:
    """Seconds of this thread that the answer took, where it seems to be too many the best of five, each by the machine's pace."""
    took = []
    while True:
        began = time.thread_time()
        reply = review.answer(body, handler)
        found = reply if isinstance(reply, review.Reply) else asyncio.run(_of(reply))
        took.append(time.thread_time() - began)
        if took[-1] < CPU:
            return took[-1], found
        took[-1] /= pace()
        if len(took) == 5:
            return min(took), found


def pace() -> float:
    """How many times as long as on a quiet machine this thread takes for its work now: lanes share caches and cores."""
    began = time.thread_time()
    for _ in range(WORK):
        pass
    return max(1.0, (time.thread_time() - began) / QUIET)


async def _of(promise: Any) -> Any:
    return await promise


def hold(body: bytes, handler: Any, what: str) -> dict[str, Any] | None:
    """The property; what was answered, None where it is an HTTP error."""
    took, reply = asked(body, handler)
    assert took < CPU, what
    assert len(reply.body) < ANSWER, what
    world.of(reply, body[: 1 << 20] if reply.status != 200 else body)
    return json.loads(reply.body)["response"] if reply.status == 200 else None


def test_there_is_no_field_that_is_not_tried():
    tried = {(kind, worst.shown(path)) for kind, path in FIELDS}
    assert ("Backup", "spec.options[0]") in tried
    assert ("PostgresCluster", "spec.repository.resources.limits.max_connections") in tried
    assert len(tried) > 200


@pytest.mark.parametrize(("kind", "path"), FIELDS, ids=[f"{kind}: {worst.shown(path)}" for kind, path in FIELDS])
def test_a_field_at_its_worst_holds_nobody_up(kind, path):
    handler = world.handlers().check_kinds
    for name in worst.VALUES:
        value = worst.written(name, worst.SIZES["just below 256 KiB"])
        response = hold(worst.body(kind, path, value), handler, name)
        assert response is not None, name
        if path[0] == "spec" and len(value) > 1100 and name != "a number without an end":
            assert not response["allowed"], name
            assert len(response["status"]["details"]["causes"]) <= 51


#: Numbers and nesting end before they are large.
LARGE = [name for name in worst.VALUES if len(worst.written(name, worst.SIZES["3 MiB"])) >= 1_000_000]


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_larger_than_any_of_ours_is_one_fault(kind, name):
    handler = world.handlers().check_kinds
    value = worst.written(name, worst.SIZES["3 MiB"])
    for path in (
        ("spec",),
        ("spec", "options"),
        ("spec", "repository"),
        ("metadata",),
        ("metadata", "labels"),
        ("zzz",),
    ):
        response = hold(worst.body(kind, path, value), handler, str(path))
        assert response is not None
        assert [each["field"] for each in response["status"]["details"]["causes"]] == ["spec"]
        assert "more than 256 KiB" in response["status"]["message"]


@pytest.mark.parametrize("name", worst.VALUES)
@pytest.mark.parametrize("size", worst.SIZES.values(), ids=worst.SIZES)
def test_an_answer_takes_little_memory(size, name):
    handler = world.handlers().check_kinds
    for kind, path in (("Backup", ("spec", "options")), ("PostgresCluster", ("spec", "parameters"))):
        body = worst.body(kind, path, worst.written(name, size))
        tracemalloc.start()
        try:
            asked(body, handler)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < MEMORY, kind


@pytest.mark.parametrize("opening", [b"[", b'{"a":'], ids=["lists", "objects"])
@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_levels_are_no_review(kind, opening):
    closing = b"]" if opening == b"[" else b"}"
    tower = opening * 10_000 + b"1" + closing * 10_000
    for path in (("spec",), ("spec", "options"), ("metadata", "labels")):
        took, reply = asked(worst.body(kind, path, tower), world.handlers().check_kinds)
        assert reply.status == 400
        assert took < CPU


def _pod(**fields: Any) -> bytes:
    pod = json.loads(json.dumps(next(iter(shapes.pods()))))
    pod["metadata"]["labels"]["pgwarden.io/repository"] = "hippo"
    container = pod["spec"]["containers"][0]
    for name, value in fields.items():
        if name in {"volumes", "initContainers", "containers"}:
            pod["spec"][name] = [*(pod["spec"].get(name) or []), *value]
        elif isinstance(value, list):
            container[name] = [*(container.get(name) or []), *value]
        else:
            container[name] = value
    return shapes.review(pod)


MANY = 12_000
PODS = {
    "containers": {"containers": [{"name": f"c{n}"} for n in range(MANY)]},
    "init containers": {"initContainers": [{"name": f"c{n}"} for n in range(MANY)]},
    "taken ports": {"ports": [{"containerPort": 8432} for n in range(MANY)]},
    "variables": {"env": [{"name": f"V{n}", "value": f"$(V{n - 1})"} for n in range(MANY)]},
    "arguments": {"args": ["-c", "archive_mode=off"] * (MANY // 2)},
    "one argument": {"args": ["-c", "x=" + "y" * 900_000]},
    "mounts of as many claims": {
        "volumeMounts": [{"name": f"v{n}", "mountPath": f"/m/{n}"} for n in range(MANY // 2)],
        "volumes": [{"name": f"v{n}", "persistentVolumeClaim": {"claimName": "c"}} for n in range(MANY // 2)],
    },
    "mounts that are taken": {"volumeMounts": [{"name": "x", "mountPath": f"/pgwarden/{n}"} for n in range(MANY)]},
    "a variable of itself": {"env": [{"name": "PGDATA", "value": "$(A)" * 100_000}, {"name": "A", "value": "x" * 100_000}]},
    "a path of thousands": {"env": [{"name": "PGDATA", "value": "/" + "$(A)" * 1000}, {"name": "A", "value": "x" * 4000}]},
    "references that do not close": {"env": [{"name": "PGDATA", "value": "$(" * 400_000}]},
    "folders that do not close": {
        "volumeMounts": [{"name": "data", "mountPath": f"/m{n}", "subPathExpr": "$(" * 4000} for n in range(100)]
    },
    "an image's name": {"image": "/:@" * 300_000},
}  # fmt: skip


@pytest.mark.parametrize("name", PODS)
def test_a_pod_at_its_worst_holds_nobody_up(name):
    body = _pod(**PODS[name])
    handlers = world.handlers()
    took, reply = asked(body, Typed(handlers.mutate_pods, Pod))
    assert reply.status == 200
    assert took < CPU
    assert len(reply.body) < 1024 * 1024


@pytest.mark.parametrize("size", [1_200_000, 3_000_000, 5_000_000])
def test_a_pod_that_etcd_cannot_hold_is_one_fault(size):
    handlers = world.handlers()
    took, reply = asked(_pod(args=["x" * size]), Typed(handlers.mutate_pods, Pod))
    (cause,) = json.loads(reply.body)["response"]["status"]["details"]["causes"]
    assert "MiB" in cause["message"]
    assert took < CPU


async def test_twenty_bodies_of_three_mib_at_once_stay_within_the_memory_of_a_replica(server):
    """The chart gives it 256 MiB, of which it takes some 60 when it has nothing to do."""
    port, tls = server
    large = worst.body("Backup", ("spec", "options"), worst.written("many lists", worst.SIZES["3 MiB"]))
    small = worst.review(json.dumps(worst.sound("Backup")).encode())
    peak, before = 0.0, world.resident_mb()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, limit=0)) as session:

        async def post(body: bytes) -> dict[str, Any]:
            async with session.post(f"https://localhost:{port}/check", data=io.BytesIO(body)) as answer:
                return (await answer.json())["response"]

        asking = [asyncio.create_task(post(large)) for _ in range(20)]
        while not all(task.done() for task in asking):
            assert (await post(small))["allowed"]
            peak = max(peak, world.resident_mb())
        for task in asking:
            assert "more than 256 KiB" in task.result()["status"]["message"]
    assert peak - before < 150


@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "in chunks"])
async def test_a_body_that_is_too_large_is_refused_by_its_head(server, chunked):
    port, tls = server
    body = worst.body("Backup", ("spec", "options"), b'["' + b"x" * 6_000_000 + b'"]')

    async def parts():
        for at in range(0, len(body), 65_536):
            yield body[at : at + 65_536]

    data = parts() if chunked else io.BytesIO(body)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session,
        session.post(f"https://localhost:{port}/check", data=data) as answer,
    ):
        said = await answer.json()
    assert said["response"]["uid"] == "705ab4f5-6393-11e8-b7cc-42010a800002"
    assert said["response"]["status"]["message"].startswith("spec: the request has more than 4 MiB")
