"""Of the namespaces that it watches, the webhook asks for a Repository that it does not know; of others it may not."""

from __future__ import annotations

from typing import Any

import pytest

from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from webhook.cache import Store


class Client(KubeClient):
    """Has a Repository wherever it is asked for one."""

    def __init__(self) -> None:
        super().__init__(Access("http://fake", None))
        self.asked: list[str] = []

    async def get(self, path: str, params: Any = None, seconds: float | None = None) -> Any:
        self.asked.append(path)
        return {"metadata": {"name": "hippo"}}


@pytest.mark.parametrize(
    ("watched", "namespace", "asked"),
    [((), "a", True), (("a", "b"), "a", True), (("a", "b"), "c", False)],
    ids=["all are watched", "one that is watched", "another one"],
)
async def test_a_repository_is_asked_for_where_it_may_be_read(watched, namespace, asked):
    client = Client()
    found = await Store(client, watched).find_repository(namespace, "hippo")
    assert (found is not None, bool(client.asked)) == (asked, asked)
