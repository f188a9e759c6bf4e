"""A pod of an instance takes the place that the one before had in Patroni's note of its members."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from controller.cluster import keep_place

PATH = "/api/v1/namespaces/shop/configmaps/hippo-leader"
OLD, NEW, OTHER = "hippo-1-5b8ff-aaaaa", "hippo-1-77777-bbbbb", "hippo-2-5b8ff-ccccc"


def note(*pods: str) -> str:
    return json.dumps({pod: f"http://10.0.0.{number}:8008/patroni" for number, pod in enumerate(pods)})


def test_the_new_pod_stands_in_the_place_of_the_one_before():
    wanted = keep_place.with_place(note(OTHER, OLD), "hippo-1", NEW, "https://10.0.0.9:8008")
    assert json.loads(wanted) == {OTHER: "http://10.0.0.0:8008/patroni", NEW: "https://10.0.0.9:8008/patroni"}


@pytest.mark.parametrize(
    "noted",
    [None, "", "{", "[]", "{}", note(OTHER), note(NEW), note(OLD, NEW), note("hippo-11-5b8ff-aaaaa")],
    ids=["nothing", "empty", "broken", "a list", "nobody", "not of it", "itself", "itself beside", "longer name"],
)
def test_nothing_is_changed_where_it_had_no_place_or_has_it(noted: str | None):
    assert keep_place.with_place(noted, "hippo-1", NEW, "https://10.0.0.9:8008") is None


class ApiServer(BaseHTTPRequestHandler):
    """One ConfigMap: a change by another version of it is refused."""

    metadata: dict[str, Any]
    asked: list[str]
    version = "7"

    def do_GET(self) -> None:
        self._answer(200 if self.path == PATH else 404, {"metadata": self.metadata})

    def do_PATCH(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(self.headers["Content-Type"])
        if body["metadata"]["resourceVersion"] != self.version:
            self._answer(409, {})
            return
        self.metadata["annotations"] |= body["metadata"]["annotations"]
        self._answer(200, {})

    def _answer(self, code: int, body: object) -> None:
        assert self.headers["Authorization"] == "Bearer t"
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[ApiServer]]:
    metadata = {"resourceVersion": "7", "annotations": {"leader": OLD, "failsafe": note(OLD)}}
    fresh: Any = type("Fresh", (ApiServer,), {"metadata": metadata, "asked": []})
    for name, value in {
        "PGWARDEN_INSTANCE": "hippo-1", "PATRONI_NAME": NEW, "PATRONI_RESTAPI_CONNECT_ADDRESS": "10.0.0.9:8008",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with HTTPServer(("127.0.0.1", 0), fresh) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        fresh.port = server.server_port
        yield fresh
        server.shutdown()


def keep(api: Any, path: str = PATH) -> bool:
    return keep_place.keep(http.client.HTTPConnection("127.0.0.1", api.port), path, "t", "https")


def test_it_is_changed_once_and_nothing_else_of_the_object(api):
    assert keep(api)
    assert keep(api)
    assert api.asked == ["application/merge-patch+json"]
    annotations = api.metadata["annotations"]
    assert annotations["leader"] == OLD
    assert list(json.loads(annotations["failsafe"])) == [NEW]


def test_what_patroni_has_changed_meanwhile_is_looked_at_again(api):
    api.version = "8"
    assert not keep(api)
    api.metadata["resourceVersion"] = "8"
    assert keep(api)


def test_without_the_object_there_is_nothing_to_be_done(api):
    assert keep(api, "/api/v1/namespaces/shop/configmaps/rhino-leader")
    assert api.asked == []
