"""A cluster of plain dicts whose watch caches follow each write, for controllers that are woken by them. The clock is set."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from controller.context import Caches, Context
from pgwarden.api import names, registry
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.kube import errors
from pgwarden.kube.events import Recorder
from tests.unit.controller.restore.fake_cluster import SETTINGS, Cluster

Object = dict[str, Any]
PLURALS = {kind.name: kind.plural for kind in registry.KINDS}


class World(Cluster):
    """`refusing` is what the webhook says to a Backup that is created; None where it admits it."""

    def __init__(self, agents: Any = None, defaults: OperatorDefaults | None = None) -> None:
        super().__init__()
        self.caches = Caches(self)
        settings = dataclasses.replace(SETTINGS, defaults=defaults or OperatorDefaults())
        recorder = Recorder(self, "test")
        self.context = Context(self, self.caches, agents, recorder, settings, clock=lambda: self.now)
        self.refusing: Exception | None = None
        self.answer: Callable[[str, str], None] = lambda method, path: None

    def settle(self) -> None:
        """None of Kubernetes' own controllers is at work."""

    async def request(self, method: str, path: str, *, body: Any = None, content_type: str = "", params: Any = None,
                      timeout: float | None = None, accept: str = "") -> Any:  # fmt: skip  # noqa: ASYNC109  KubeClient's own
        self.answer(method, path)
        plural, namespace, name, _ = self._parse(path)
        if method == "POST" and plural == "backups" and self.refusing:
            raise self.refusing
        if method == "DELETE":
            if self.objects.pop((plural, namespace, name), None) is None:
                raise errors.NotFound(404, "NotFound", name)
            self.writes += 1
            self.sync()
            return {}
        if method == "PATCH" and "apply" in content_type and (plural, namespace, name) not in self.objects:
            self.add(plural, namespace, body)
        done = await super().request(method, path, body=body, content_type=content_type, params=params)
        if method != "GET" and plural != "events":
            key = (plural, namespace, name or body["metadata"]["name"])
            self.count += 1
            self.objects[key]["metadata"]["resourceVersion"] = str(self.count)
            self.sync()
        return done

    def sync(self) -> None:
        """The caches show what is there."""
        for plural, cache in self.caches.ours.items():
            there = {(n, name): obj for (p, n, name), obj in self.objects.items() if p == plural}
            for key in set(cache.items) - set(there):
                cache._drop(cache.items[key])
            for obj in there.values():
                cache._put(copy.deepcopy(obj))

    def make(self, kind: str, name: str, *, status: Object | None = None, **spec: Any) -> Object:
        """Create it as a user past the webhook does."""
        base: Object = {}
        if registry.BY_NAME[kind].names_repository:
            base = {"repository": "hippo"} | ({"schedule": "* * * * *"} if kind.endswith("Schedule") else {})
        body = {"apiVersion": names.API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": base | spec}
        made = self.add(PLURALS[kind], "ns", body | ({"status": status} if status else {}))
        self.sync()
        return made

    def change(self, kind: str, name: str, **spec: Any) -> None:
        """Another spec, and so another generation."""
        found = self.objects[PLURALS[kind], "ns", name]
        found["spec"] |= spec
        found["metadata"]["generation"] += 1
        self.count += 1
        found["metadata"]["resourceVersion"] = str(self.count)
        self.sync()

    def remove(self, kind: str, name: str) -> None:
        del self.objects[PLURALS[kind], "ns", name]
        self.sync()

    def there(self, kind: str, name: str) -> Object:
        return self.objects[PLURALS[kind], "ns", name]

    def status(self, kind: str, name: str) -> Object:
        return self.objects[PLURALS[kind], "ns", name].get("status") or {}

    def tick(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


def condition(status: Object, kind: str) -> Object:
    return next((one for one in status.get("conditions", []) if one["type"] == kind), {})
