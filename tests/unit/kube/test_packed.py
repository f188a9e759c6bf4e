"""A cache in little memory: as a dict, but for what somebody changes on an object that they got from it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwarden.kube import index
from pgwarden.kube.cache import NAMESPACE, WatchCache
from pgwarden.kube.client import KubeClient
from pgwarden.kube.packed import Packed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


def obj(name: str, version: int = 1, namespace: str = "ns", **more: object) -> dict:
    metadata = {"name": name, "namespace": namespace, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"repository": "hippo"}} | more


@given(VALUES)
def test_what_is_put_in_comes_out(value: object):
    packed = Packed()
    packed["ns", "a"] = obj("a", status=value)
    assert packed["ns", "a"] == obj("a", status=value)


@pytest.mark.parametrize("size", [0, 1, 60, 2_000], ids=lambda size: f"after one of {size} fields")
@given(st.lists(VALUES, min_size=1, max_size=5))
def test_objects_come_out_as_they_went_in_whatever_the_first_one_was(size: int, values: list[object]):
    packed = Packed()
    packed["ns", "first"] = first = obj("first", status={f"field-{n}": n for n in range(size)})
    for n, value in enumerate(values):
        packed["ns", str(n)] = obj(str(n), status=value)
    assert [packed["ns", str(n)] for n in range(len(values))] == [
        obj(str(n), status=value) for n, value in enumerate(values)
    ]
    del packed["ns", "first"]
    packed["ns", "first"] = first
    assert packed["ns", "first"] == first


def test_objects_that_are_alike_take_a_fifth_of_their_text_at_most():
    packed = Packed()
    said = {
        "phase": "Completed",
        "message": "full backup of 30.3 MiB added 3.7 MiB",
        "conditions": [{"type": "Ready"}] * 5,
    }
    for n in range(100):
        packed["ns", str(n)] = obj(str(n), status=said | {"label": f"20261130-12{n:04}F"})
    texts = [len(json.dumps(packed["ns", str(n)])) for n in range(1, 100)]
    assert sum(map(len, [*packed._texts.values()][1:])) < sum(texts) / 5


def test_it_is_a_dict_but_for_what_is_changed_on_an_object():
    packed, plain = Packed(), {}
    for where in (packed, plain):
        where["ns", "a"], where["ns", "b"] = obj("a"), obj("b")
        where["ns", "b"] = obj("b", 2)
        del where["ns", "a"]
    assert dict(packed) == plain
    assert (len(packed), ("ns", "b") in packed, ("ns", "a") in packed) == (1, True, False)
    packed["ns", "b"]["spec"]["repository"] = "rhino"
    assert packed["ns", "b"] == obj("b", 2)
    assert packed.version(("ns", "b")) == "2"
    with pytest.raises(KeyError):
        packed["ns", "a"]


def test_an_outline_is_of_the_object_as_it_is():
    packed = Packed()
    packed["ns", "a"] = obj("a", status={"phase": "Ready"})
    assert [*packed.outlines()] == [obj("a")]
    packed["ns", "a"] = obj("a", 2, spec={"repository": "rhino"})
    assert [one["spec"] for one in packed.outlines()] == [{"repository": "rhino"}]
    del packed["ns", "a"]
    assert [*packed.outlines()] == []


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_what_is_read_later_is_of_when_it_was_asked_for(packed: bool):
    cache = WatchCache(None, "/x", packed=packed)  # type: ignore[arg-type]
    cache._put(obj("a"))
    later = cache.later("namespace", "ns")
    cache._put(obj("a", 2))
    cache._put(obj("b"))
    assert later() == [obj("a")]
    assert cache.later("namespace", "elsewhere")() == []


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("count", [0, 1, 60, 2_000])
def test_versions_are_others_where_one_came_changed_or_went(count: int, packed: bool):
    cache = WatchCache(KubeClient(None), "/backups", indexes={"repository": index.repository}, packed=packed)  # type: ignore[arg-type]
    for number in range(count):
        cache._put(obj(f"b{number}"))
    cache._put(obj("other", namespace="other"))
    seen = [cache.versions("repository", ("ns", "hippo"))]
    assert len(seen[0]) == count
    assert cache.versions(NAMESPACE, "ns") == seen[0]
    cache._put(obj("new"))
    seen.append(cache.versions("repository", ("ns", "hippo")))
    cache._put(obj("new", 2))
    seen.append(cache.versions("repository", ("ns", "hippo")))
    cache._drop(obj("new"))
    assert cache.versions("repository", ("ns", "hippo")) == seen[0]
    assert seen[0] != seen[1] != seen[2] != seen[0]
    cache._put(obj("other", 2, namespace="other"))
    assert cache.versions("repository", ("ns", "hippo")) == seen[0]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_listeners_hear_the_object_and_the_one_before(packed: bool):
    cache = WatchCache(KubeClient(None), "/backups", packed=packed)  # type: ignore[arg-type]
    heard: list[tuple] = []
    cache.listen(lambda *told: heard.append(told))
    cache._put(obj("a"))
    cache._put(obj("a"))
    cache._put(obj("a", 2))
    cache._drop(obj("a", 3))
    assert heard == [
        ("ADDED", obj("a"), None),
        ("MODIFIED", obj("a", 2), obj("a")),
        ("DELETED", obj("a", 2), obj("a", 2)),
    ]
