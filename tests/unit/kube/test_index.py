"""Lookups in a cache by namespace, label and Repository, kept in step with every change."""

from __future__ import annotations

from pgwarden.kube import index
from pgwarden.kube.cache import WatchCache
from pgwarden.kube.client import KubeClient

LABEL = "pgwarden.io/schedule"


def obj(name: str, version: int, namespace: str = "ns", repository: str = "hippo", **labels: str) -> dict:
    metadata = {"name": name, "namespace": namespace, "resourceVersion": str(version), "labels": labels}
    return {"metadata": metadata, "spec": {"repository": repository}}


def cache() -> WatchCache:
    indexes = {"repository": index.repository, LABEL: index.label(LABEL)}
    return WatchCache(KubeClient(None), "/backups", indexes=indexes)  # type: ignore[arg-type]


def found(where: WatchCache, name: str, *value: str) -> list[str]:
    return sorted(one["metadata"]["name"] for one in where.by(name, value))


def test_objects_are_found_by_what_they_name():
    where = cache()
    for one in (obj("a", 1, **{LABEL: "nightly"}), obj("b", 2), obj("c", 3, namespace="other")):
        where._put(one)
    assert found(where, "repository", "ns", "hippo") == ["a", "b"]
    assert found(where, LABEL, "ns", "nightly") == ["a"]
    assert sorted(one["metadata"]["name"] for one in where.in_namespace("ns")) == ["a", "b"]
    assert found(where, "repository", "ns", "rhino") == []


def test_a_change_moves_an_object_and_a_deletion_takes_it_out():
    where = cache()
    where._put(obj("a", 1, **{LABEL: "nightly"}))
    where._put(obj("a", 2, repository="rhino"))
    assert found(where, "repository", "ns", "hippo") == []
    assert found(where, LABEL, "ns", "nightly") == []
    assert found(where, "repository", "ns", "rhino") == ["a"]
    assert where.by("repository", ("ns", "rhino"))[0]["metadata"]["resourceVersion"] == "2"
    where._drop(obj("a", 3, repository="whatever"))
    assert found(where, "repository", "ns", "rhino") == []
    assert list(where.in_namespace("ns")) == []


def test_what_names_no_repository_is_in_no_ones_list():
    where = cache()
    where._put({"metadata": {"name": "x", "namespace": "ns", "resourceVersion": "1"}, "spec": None})
    assert [one["metadata"]["name"] for one in where.in_namespace("ns")] == ["x"]
    assert list(where._indexes["repository"]) == []
