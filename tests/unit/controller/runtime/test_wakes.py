"""Which changes have a Repository looked at: a look reads the storages by `pgbackrest info`."""

from __future__ import annotations

import asyncio
import copy
from types import SimpleNamespace
from typing import Any

import pytest

from controller.context import Caches, Context
from controller.manager import Manager
from controller.runtime.worker import Worker
from pgwarden.api import names
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient

HIPPO = {"metadata": {"name": "hippo", "namespace": "ns", "uid": "u", "generation": 1}, "spec": {}, "status": {}}
POD = {
    "metadata": {
        "name": "db-0", "namespace": "ns", "uid": "p", "labels": {names.LABEL_REPOSITORY: "hippo"},
        "annotations": {names.ANNOTATION_POSTGRES: "{}", "status": "xlog 1"},
    },
    "status": {"phase": "Running", "podIP": "10.0.0.1"},
}  # fmt: skip


class Nothing(KubeClient):
    async def request(self, *_: Any, **__: Any) -> Any:
        return {"items": [], "metadata": {"resourceVersion": "1"}}


@pytest.fixture
async def woken(monkeypatch):
    """A running manager over *caches*; `after(cache, obj)` changes one and says which Repositories are looked at."""
    client, seen = Nothing(Access("http://fake", None)), []
    caches, begin = Caches(client), Worker.__init__

    async def look(key):
        seen.append(key)

    monkeypatch.setattr(Worker, "__init__", lambda self, kind, _do, count: begin(self, kind, look if kind == "Repository" else _nothing, count))  # fmt: skip
    running = asyncio.create_task(Manager(Context(client, caches, None, None, None)).run())  # type: ignore[arg-type]
    await asyncio.sleep(0.01)

    async def after(cache, obj):
        cache._put(copy.deepcopy(obj))
        await asyncio.sleep(0.01)
        found, seen[:] = list(seen), []
        return found

    yield SimpleNamespace(after=after, caches=caches)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _nothing(_key):
    return None


def changed(obj: dict, version: str, **over: Any) -> dict:
    """*obj* with *over*, by the path of what is set, as the API server would send it."""
    found = copy.deepcopy(obj)
    found["metadata"]["resourceVersion"] = version
    for path, value in over.items():
        *parents, last = path.split("__")
        target = found
        for part in parents:
            target = target[part]
        target[last] = value
    return found


async def test_its_own_status_is_no_reason_to_look_again_at_a_repository_and_a_new_spec_is(woken):
    """The newest segment is in it: a busy server would have it looked at without a pause."""
    cache = woken.caches.repositories
    assert await woken.after(cache, changed(HIPPO, "1")) == [("ns", "hippo")]
    for version in range(2, 20):
        assert await woken.after(cache, changed(HIPPO, str(version), status={"lastWal": version})) == []
    assert await woken.after(cache, changed(HIPPO, "30", metadata__generation=2)) == [("ns", "hippo")]


NEWS = {
    "its address": ({"status__podIP": "10.0.0.2"}, True),
    "it ends": ({"metadata__deletionTimestamp": "2026-11-28T12:00:00Z"}, True),
    "what the webhook found in it": ({f"metadata__annotations__{names.ANNOTATION_POSTGRES}": "{1}"}, True),
    "what Patroni notes on it": ({"metadata__annotations__status": "xlog 2"}, False),
    "that we touched it": ({f"metadata__annotations__{names.ANNOTATION_CONFIG_HASH}": "now"}, False),
}


@pytest.mark.parametrize("case", NEWS)
async def test_a_pod_has_its_repository_looked_at_when_something_is_new_and_not_each_ten_seconds(woken, case):
    over, news = NEWS[case]
    cache = woken.caches.postgres_pods
    assert await woken.after(cache, changed(POD, "1")) == [("ns", "hippo")]
    assert await woken.after(cache, changed(POD, "2", **over)) == ([("ns", "hippo")] if news else [])


QUOTA = {
    "metadata": {"name": "small", "namespace": "ns", "uid": "q", "managedFields": []},
    "spec": {"hard": {"limits.cpu": "8"}}, "status": {"used": {"limits.cpu": "1"}},
}  # fmt: skip


@pytest.mark.parametrize("cache", ["quotas", "limit_ranges"])
async def test_what_a_namespace_asks_of_containers_is_news_and_what_it_has_used_is_not(woken, cache):
    """A quota's status changes with each pod of the namespace."""
    asked = getattr(woken.caches, cache)
    await woken.after(woken.caches.repositories, changed(HIPPO, "1"))
    assert await woken.after(asked, changed(QUOTA, "2")) == [("ns", "hippo")]
    assert await woken.after(asked, changed(QUOTA, "3", status__used={"limits.cpu": "2"})) == []
    assert await woken.after(asked, changed(QUOTA, "4", spec__hard={"limits.cpu": "9"})) == [("ns", "hippo")]
    assert await woken.after(asked, changed(QUOTA, "5", metadata__namespace="elsewhere")) == []
    kept = asked.get("ns", "small")
    assert set(kept) == {"metadata", "spec"}
    assert "managedFields" not in kept["metadata"]
