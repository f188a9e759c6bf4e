"""What `kubectl get -o json` reads, over kept connections.

A test that waits looks twice a second, and each kubectl is a process with a TLS handshake and discovery of its own:
0.12 s of CPU, where a request on a kept connection takes 0.002 s.

Only clear answers are given here. For everything else, an API server that is away among them, the caller asks kubectl,
whose words the tests know.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client, config

Object = dict[str, Any]

_SECONDS = (5, 30)  # to connect, and for an answer
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Unclear(Exception):
    """No clear answer; kubectl may have one."""


@dataclass(frozen=True)
class _Resource:
    version: str  # with its group
    plural: str
    kind: str
    namespaced: bool

    def path(self, namespace: str) -> str:
        root = "/apis" if "/" in self.version else "/api"
        within = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{root}/{self.version}{within}/{self.plural}"


class Reads:
    """Of the cluster and as the user that *kubeconfig* names."""

    def __init__(self, kubeconfig: Path) -> None:
        configuration = client.Configuration()
        configuration.retries = False
        self._client = config.new_client_from_config(str(kubeconfig), client_configuration=configuration)
        self._known: dict[str, _Resource] = {}

    def get(self, kind: str, name: str, namespace: str) -> Object | None:
        """*kind* as kubectl takes it: plural, singular, short name, Kind, or one of these with its group."""
        status, body = self._ask(f"{self._resource(kind).path(namespace)}/{name}")
        if status == 404 and body.get("reason") == "NotFound" and (body.get("details") or {}).get("name") == name:
            return None
        return _shown(_clear(status, body))

    def list(self, kind: str, selector: str, namespace: str) -> list[Object]:
        found = self._resource(kind)
        body = _clear(*self._ask(found.path(namespace), [("labelSelector", selector)] if selector else []))
        return [{"apiVersion": found.version, "kind": found.kind} | _shown(item) for item in body["items"]]

    def _resource(self, kind: str) -> _Resource:
        if kind not in self._known:
            self._known = self._discovered()
        if kind not in self._known:
            raise Unclear(kind)
        return self._known[kind]

    def _discovered(self) -> dict[str, _Resource]:
        """By every name, of the first group that has it and of its first version: as kubectl chooses."""
        known: dict[str, _Resource] = {}
        for root in ("/api", "/apis"):
            for group in _clear(*self._ask(root, accept=_DISCOVERY))["items"]:
                name = group["metadata"].get("name", "")
                for version in group["versions"]:
                    for one in version.get("resources", []):
                        for key, found in _named(name, version["version"], one):
                            known.setdefault(key, found)
        return known

    def _ask(self, path: str, query: list[tuple[str, str]] | None = None, accept: str = "application/json") -> Any:
        """Status code and what the body says."""
        try:
            asked = self._client.param_serialize(
                "GET", path, query_params=query, header_params={"Accept": accept}, auth_settings=["BearerToken"]
            )
            answer = self._client.call_api(*asked, _request_timeout=_SECONDS)
            return answer.status, _object(answer.read())
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unclear(str(error)) from error


def _named(group: str, version: str, one: Object) -> list[tuple[str, _Resource]]:
    kind = one["responseKind"]["kind"]
    found = _Resource(f"{group}/{version}" if group else version, one["resource"], kind, one["scope"] == "Namespaced")
    names = [one["resource"], one.get("singularResource") or kind.lower(), kind, *one.get("shortNames", [])]
    return [(key, found) for name in names for key in (name, f"{name}.{group}")]


def _shown(obj: Object) -> Object:
    """As kubectl shows it."""
    obj["metadata"].pop("managedFields", None)
    return obj


def _object(body: Any) -> Object:
    try:
        found = json.loads(body)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _clear(status: int, body: Object) -> Object:
    if status != 200:
        raise Unclear(f"{status} {body.get('message', '')}")
    return body


@lru_cache(maxsize=64)
def _made(kubeconfig: Path, _changed: int) -> Reads:
    return Reads(kubeconfig)


def of(kubeconfig: Path) -> Reads:
    """Kept for as long as the file is the same."""
    return _made(kubeconfig, kubeconfig.stat().st_mtime_ns)
