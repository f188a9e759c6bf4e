"""The sidecar's image may need a pull secret that the pod has not: it would keep PostgreSQL from starting."""

from __future__ import annotations

import copy

import pytest


@pytest.fixture
def found(repository):
    return repository(podTemplate={"spec": {"imagePullSecrets": [{"name": "a"}, {"name": "b"}]}})


@pytest.mark.parametrize(
    ("own", "after"),
    [(None, ["a", "b"]), ([], ["a", "b"]), ([{"name": "mine"}], ["mine", "a", "b"]), ([{"name": "a"}], ["a", "b"])],
)
def test_the_repositorys_are_added_to_the_pods_own(pod, found, operations, applied, own, after):
    given = copy.deepcopy(pod())
    if own is not None:
        given["spec"]["imagePullSecrets"] = own
    once = applied(given, operations(given, found))
    assert [each["name"] for each in once["spec"]["imagePullSecrets"]] == after
    assert operations(once, found) == []


def test_without_any_nothing_is_said_of_them(pod, repository, operations):
    assert "imagePullSecrets" not in str(operations(pod(), repository()))
