"""Paths of objects: a name is one segment of one, or no object's."""

from __future__ import annotations

import pytest
from yarl import URL

from pgwarden.kube import errors, paths
from pgwarden.kube.client import KubeClient, find_named

IMPOSSIBLE = {
    "nothing": "",
    "this folder": ".",
    "the folder above": "..",
    "a path": "a/b",
    "a path out": "a/../../x",
    "an escaped slash": "a%2fb",
    "an escaped dot": "%2e%2e",
    "a line break": "x\ny",
    "a NUL": "x\x00",
    "an escape sequence": "\x1b[2J",
}


@pytest.mark.parametrize("name", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_name_that_would_be_another_path_is_refused(name):
    with pytest.raises(ValueError, match="cannot be a name in secrets"):
        paths.of("secrets", "ns", name)
    with pytest.raises(errors.NotFound):  # who looks for one finds none
        paths.of("secrets", "ns", name, "status")
    if name:
        with pytest.raises(paths.NoName):
            paths.of("secrets", name)


class Nobody(KubeClient):
    def __init__(self) -> None:
        pass

    async def find(self, path: str):
        raise AssertionError(f"asked for {path}")


@pytest.mark.parametrize("name", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
async def test_nobody_is_asked_for_an_object_of_such_a_name(name):
    assert await find_named(Nobody(), "secrets", "ns", name) is None


@pytest.mark.parametrize("plural", paths._PREFIX)
@pytest.mark.parametrize("name", ["hippo", "a.b-c.d", "system:node", "x" * 253, "...", "a..b", "ä"])
def test_what_is_asked_for_is_what_was_meant(plural, name):
    """aiohttp resolves and requotes a path before it sends it."""
    path = paths.of(plural, "ns", name)
    assert URL(f"https://10.0.0.1{path}").parts[-2:] == (plural, name)
    assert URL(f"https://10.0.0.1{path}").parts[-4:-2] == ("namespaces", "ns")
