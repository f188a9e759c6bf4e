"""The harness reads as kubectl does, by every name that kubectl knows a kind by."""

from __future__ import annotations

import json

import pytest

from harness import reads
from harness.kubectl import Kubectl

NAMED = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "labels": {"of": "reads"}}}


def by_kubectl(space: Kubectl, *words: str) -> object:
    return json.loads(space.run("get", *words, "-o", "json").stdout)


@pytest.mark.parametrize(
    "kind", ["configmap", "configmaps", "cm", "ConfigMap", "crd", "pgrepo", "repositories.pgwarden.io"]
)
def test_objects_are_those_of_kubectl(space: Kubectl, kind: str):
    space.apply(NAMED)
    mine = reads.of(space.kubeconfig)
    assert mine.list(kind, "", space.namespace) == by_kubectl(space, kind)["items"]
    for name in ("one", "restores.pgwarden.io"):
        there = space.run("get", kind, name, "-o", "json", "--ignore-not-found").stdout
        assert mine.get(kind, name, space.namespace) == (json.loads(there) if there else None)


def test_a_selector_selects(space: Kubectl):
    space.apply(NAMED)
    assert [one["metadata"]["name"] for one in space.list("cm", "of=reads")] == ["one"]


@pytest.mark.parametrize("kind", ["nokind", "pods,configmaps"])
def test_what_it_does_not_know_is_left_to_kubectl(space: Kubectl, kind: str):
    with pytest.raises(reads.Unclear):
        reads.of(space.kubeconfig).list(kind, "", space.namespace)
