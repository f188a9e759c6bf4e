"""What pgwarden's accounts asked for, read from an audit log."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import http

from localcluster import rights

CONTROLLER = "system:serviceaccount:pgwarden-system:pgwarden-controller"


def event(user: str = CONTROLLER, decision: str = "allow", by: str = http.SERVER_SOFTWARE, **ref: str):
    return json.dumps(
        {
            "verb": "get",
            "user": {"username": user},
            "userAgent": by,
            "objectRef": {"resource": "secrets", "namespace": "shop", "name": "hippo"} | ref,
            "annotations": {"authorization.k8s.io/decision": decision},
        }
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (event(), ["controller get secrets"]),
        (event("system:serviceaccount:other:pgwarden-webhook"), ["webhook get secrets"]),
        (event(resource="backups", apiGroup="pgwarden.io"), ["controller get pgwarden.io/backups"]),
        (event(resource="repositories", apiGroup="pgwarden.io", subresource="status"),
         ["controller get pgwarden.io/repositories/status"]),
        (event(decision="forbid"), ["controller get secrets forbidden"]),
        (event("system:serviceaccount:shop:hippo-instance"), []),
        (event("system:serviceaccount:shop:not-pgwarden-controller"), []),
        (event("admin"), []),
        (event(resource=""), []),
        (event(by="kubectl/v1.35.0 (linux/amd64) kubernetes/66452049"), []),
        (event(by="OpenAPI-Generator/35.0.0/python"), []),
        ('{"verb": "get", "us', []),
        ("", []),
    ],
    ids=["a read", "the webhook", "ours", "a status", "refused", "an instance", "a name that ends so", "a person",
         "no resource", "a test by kubectl", "a test by Kubernetes' client", "half a line", "nothing"],
)  # fmt: skip
def test_each_line_is_one_right_of_our_accounts_or_nothing(line, told):
    assert list(rights.used(iter([line]))) == told


@pytest.mark.parametrize("count", [0, 1, 60, 2_000])
def test_a_cluster_that_is_removed_adds_each_right_once(tmp_path: Path, monkeypatch, count: int):
    cluster = SimpleNamespace(state=tmp_path)
    file = tmp_path / "rights.txt"
    monkeypatch.setenv(rights.FILE, str(file))
    (tmp_path / "audit.log").write_text("".join(f"{event()}\n" for _ in range(count)))
    rights.save(cluster)
    rights.save(cluster)
    assert file.read_text() == "controller get secrets\n" * (2 if count else 0)


def test_without_a_file_to_add_to_and_without_a_log_nothing_is_kept(tmp_path: Path, monkeypatch):
    monkeypatch.delenv(rights.FILE, raising=False)
    (tmp_path / "audit.log").write_text(event())
    rights.save(SimpleNamespace(state=tmp_path))
    monkeypatch.setenv(rights.FILE, str(tmp_path / "rights.txt"))
    (tmp_path / "audit.log").unlink()
    rights.save(SimpleNamespace(state=tmp_path))
    assert list(tmp_path.iterdir()) == []
