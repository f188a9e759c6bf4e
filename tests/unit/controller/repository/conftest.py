"""A Repository's world over hours of a clock that is moved by hand: API server, repository host and PostgreSQL."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from controller import certificates
from controller.agents import AgentError
from controller.context import Caches, Context
from controller.repository.reconcile import RepositoryController
from controller.repository.tools import Tools
from controller.settings import Settings
from harness.patches import carried_out, merged
from pgwarden.api import names
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.contract import calls
from pgwarden.contract.calls import Call, Fenced, Outcome
from pgwarden.contract.status import Status
from pgwarden.kube import errors, paths
from pgwarden.kube.access import Access
from pgwarden.kube.cache import WatchCache
from pgwarden.kube.client import APPLY, JSON_PATCH, KubeClient
from pgwarden.kube.events import Recorder
from pgwarden.pgbackrest import config
from tests.unit.controller import replicas

Object = dict[str, Any]
NO_TOOLS = Tools()
START = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
LABEL = names.LABEL_OWNER_REPOSITORY
SEGMENT = "0000000100000000000000"
FACTS = {
    "container": "postgres", "dataDirectory": "/var/lib/postgresql/data/pgdata", "port": 5432,
    "socketDirectory": "/var/run/postgresql", "user": "postgres", "database": "postgres", "runAsUser": 999,
    "runAsGroup": 999, "configuredBy": "Arguments", "dataVolume": "data",
}  # fmt: skip
LOCAL = {"storageType": "local", "local": {"size": "1Gi"}}
BOTH = LOCAL | {
    "storageType": "local,s3",
    "s3": {
        "bucket": "backups", "endpoint": "s3.example", "region": "r", "uriStyle": "path",
        "credentialsSecretRef": {"name": "keys"},
    },
}  # fmt: skip
KEYS = {"s3-key": base64.b64encode(b"k").decode(), "s3-key-secret": base64.b64encode(b"s").decode()}


class Store(KubeClient):
    """Objects by path, and how often each kind was written."""

    def __init__(self) -> None:
        super().__init__(Access("http://fake", None))
        self.objects: dict[str, Object] = {}
        self.written: Counter[str] = Counter()
        self.read: list[str] = []  # the path of each question
        self.events: list[Object] = []
        self.refuses: dict[str, str] = {}  # by path: why a change is not taken
        self.version = 0
        self.put_deployment: Callable[[Object], None] = lambda made: None

    async def request(self, method: str, path: str, *, body: Any = None, content_type: str = "", **_: Any) -> Any:
        if method == "GET":
            self.read.append(path)
            deployment, _, name = path.partition("/replicasets/")
            if name:
                made = self.objects[f"{deployment}/deployments/{name.removesuffix('-5d')}"]
                return replicas.replica_set(made)
            if path not in self.objects:
                raise errors.NotFound(404, "NotFound", path)
            return json.loads(json.dumps(self.objects[path]))
        if path.endswith("/events") or "/events/" in path:
            self.events.append(body)
            return {}
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
        if method == "DELETE":
            self.objects.pop(path, None)
            return {}
        if path in self.refuses:
            raise errors.Invalid(403, "Forbidden", self.refuses[path])
        sub = path.endswith("/status")
        where = path.removesuffix("/status")
        before = self.objects.get(where)
        if content_type == JSON_PATCH:
            after = carried_out(before, body)
        else:
            # Server-side apply, for what only we write, is a merge.
            after = merged(copy.deepcopy(before or {}), {"status": body["status"]} if sub else body)
        return copy.deepcopy(self.put(where, after, kind=body["kind"] if content_type == APPLY else path))

    def put(self, path: str, obj: Object, *, kind: str = "") -> Object:
        if self.objects.get(path) == obj:
            return obj
        self.version += 1
        fresh = {"uid": f"u-{self.version}", "generation": 1, "creationTimestamp": "2026-11-28T11:00:00Z"}
        obj["metadata"] = fresh | obj["metadata"] | {"resourceVersion": str(self.version)}
        self.objects[path] = obj
        if "/deployments/" in path:
            self.put_deployment(copy.deepcopy(obj))
        self.written[kind.rpartition("/")[2] if kind.endswith("/status") else kind.rpartition("/")[0] or kind] += 1
        return obj


class World:
    """All is well, and no segment has arrived anywhere. What is set otherwise is what is wrong."""

    def __init__(self, spec: Object) -> None:
        self.now = START
        self.store = Store()
        self.caches = Caches(self.store)
        self.store.put_deployment = self.caches.deployments._put  # the watch is as fast as that
        self.asked: list[datetime] = []
        self.stanza_creates: list[datetime] = []
        self.stanza_upgrades: list[datetime] = []
        #: What the stanza is of, the newest last.
        self.databases: list[Object] = [{"id": 1, "system-id": 7, "version": "17"}]
        self.sets: list[Object] = []  # as `info` lists them
        self.looks = 0
        self.stanzas: set[int] = set()
        self.arrived: set[int] = set()
        self.trouble: dict[int, str] = {}  # of a storage, by its number
        self.has_config = True  # the pods and the host get what is written for them
        self.arrives = True  # what is archived is seen in the storages
        self.agent_answers = True
        self.stanza_error = ""
        self.postgres: dict[str, Object] = {"db-0": {}}  # by pod: over a primary's answer
        self.pgbackrest: dict[str, str] = {}  # by pod: the version that its agent tells
        self.places: dict[str, Object] = {}  # by pod: where PostgreSQL is, if not where it was assumed
        self.unarchived = 0
        self.archive_timeout: Object = {}  # as the agent tells it; empty: an agent of before
        self.timeouts: list[tuple[datetime, int]] = []  # when it was asked to set how many seconds
        self.timeout_error = ""
        self.release = Tools("i")  # of the controller
        self.host_tools = Tools()  # as the host's pod runs, and its agent tells
        self.stale = False  # the watch of the Repositories has come to a standstill
        self._given = ("", 0)
        self._seen: dict[str, str] = {}  # path → version that the caches have
        self.repository(spec)
        for pod in self.postgres:
            self.postgres_pod(pod, "10.0.0.1")
        self.host_pod()
        self.begin()

    # --- objects -------------------------------------------------------------------------------------------------

    def repository(self, spec: Object) -> None:
        path = paths.of("repositories", "ns", "hippo")
        before = self.store.objects.get(path, {"metadata": {"name": "hippo", "namespace": "ns", "generation": 0}})
        about = before["metadata"] | {"generation": before["metadata"]["generation"] + 1}
        whole = before | {"apiVersion": names.API_VERSION, "kind": "Repository", "metadata": about}
        self.store.put(path, copy.deepcopy(whole | {"spec": spec}))

    def postgres_pod(self, name: str, ip: str, tools: Tools = NO_TOOLS) -> None:
        about = {"name": name, "namespace": "ns", "labels": {names.LABEL_REPOSITORY: "hippo"}}
        about["annotations"] = {names.ANNOTATION_POSTGRES: json.dumps(FACTS)}
        sidecar = {"name": names.CONTAINER_SIDECAR, "image": tools.image}
        self.pgbackrest[name] = tools.version
        whole = {"metadata": about, "spec": {"initContainers": [sidecar]}}
        self.store.put(paths.of("pods", "ns", name), whole | {"status": {"phase": "Running", "podIP": ip}})

    def host_pod(self, tools: Tools = NO_TOOLS) -> None:
        labels = {names.LABEL_OWNER_REPOSITORY: "hippo", names.LABEL_COMPONENT: "host"}
        ready = {"podIP": "10.0.0.9", "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        about = {"name": "host", "namespace": "ns", "labels": labels, "ownerReferences": replicas.by()}
        self.host_tools = tools
        container = {"name": names.CONTAINER_HOST, "image": tools.image}
        whole = {"metadata": about, "spec": {"containers": [container]}, "status": ready}
        self.store.put(paths.of("pods", "ns", "host"), whole)

    def secret(self) -> None:
        self.store.put(paths.of("secrets", "ns", "keys"), {"metadata": {"name": "keys"}, "data": KEYS})

    @property
    def status(self) -> Object:
        return self.store.objects[paths.of("repositories", "ns", "hippo")].get("status") or {}

    def condition(self, kind: str) -> Object:
        return next(one for one in self.status["conditions"] if one["type"] == kind)

    # --- the controller ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A controller that knows nothing but what is in the cluster: after a start, or a change of leader."""
        image, version = self.release.image, self.release.version
        settings = Settings(image, "Always", "pw", "c", "t", "w", "m", "v", OperatorDefaults(), 8080, "l")
        settings = dataclasses.replace(settings, pgbackrest=version)
        context = Context(self.store, self.caches, self, Recorder(self.store, "c"), settings, lambda: self.now)  # type: ignore[arg-type]
        self.controller = RepositoryController(context)

    async def look(self) -> float:
        caches = self.caches
        for path, obj in self.store.objects.items():
            if self._seen.get(path) == obj["metadata"]["resourceVersion"]:
                continue
            labels = obj["metadata"].get("labels", {})
            if path == paths.of("repositories", "ns", "hippo"):
                if self.stale and caches.repositories.items:
                    continue
                caches.repositories._put(copy.deepcopy(obj))
            elif "/backups/" in path:
                caches.backups._put(copy.deepcopy(obj))
            elif "/pods/" in path:
                cache = caches.postgres_pods if names.LABEL_REPOSITORY in labels else caches.own_pods
                cache._put(copy.deepcopy(obj))
            elif (owned := self._owned().get(path.split("/")[-2])) is not None and LABEL in labels:
                owned._put(copy.deepcopy(obj))
            self._seen[path] = obj["metadata"]["resourceVersion"]
        for plural, cache in self._owned().items():
            there = {key: self.store.objects.get(paths.of(plural, *key)) for key in cache.items}
            for key, obj in there.items():
                if obj is None or LABEL not in obj["metadata"].get("labels", {}):
                    cache._drop(cache.items[key])
        self.looks += 1
        return await self.controller.reconcile(("ns", "hippo")) or 15.0

    def _owned(self) -> dict[str, WatchCache]:
        """What the Repository consists of, by plural."""
        return self.caches.of_repositories | {"persistentvolumeclaims": self.caches.claims}

    async def drive(self, long: timedelta, *, restart_each: timedelta | None = None, slow: float = 0.0) -> None:
        """Look as often as the controller asks for, for that *long*; after ten minutes each *slow* seconds."""
        end, restart, soon = self.now + long, self.now, self.now + timedelta(minutes=10)
        while self.now < end:
            if restart_each and self.now - restart >= restart_each:
                self.begin()
                restart = self.now
            again = await self.look()
            self.now += timedelta(seconds=slow if slow and self.now > soon else again)

    async def until(self, kind: str, longest: timedelta) -> timedelta:
        """How long it takes until the condition is True."""
        began = self.now
        while True:
            again = await self.look()
            if self.condition(kind)["status"] == "True":
                return self.now - began
            assert self.now - began <= longest, self.condition(kind)
            self.now += timedelta(seconds=again)

    # --- the agents ----------------------------------------------------------------------------------------------

    def trust(self, *_: Any) -> None: ...
    def forget(self, *_: Any) -> None: ...

    def _info(self) -> Object:
        repos, base, archive = [], [], []
        for number in range(1, self._config()[1] + 1):
            code, message = (0, "ok") if number in self.stanzas else (1, "missing stanza path")
            if number in self.trouble:
                code, message = 99, self.trouble[number]
            repos.append({"key": number, "cipher": "none", "status": {"code": code, "message": message}})
            if not code:
                about = {"id": self.databases[-1]["id"], "repo-key": number}
                base += [one | {"repo-key": number} for one in self.databases]
                newest = f"{SEGMENT}09" if number in self.arrived else None
                archive.append({"database": about, "id": "17-1", "min": newest, "max": newest})
        told = {"name": "hippo", "status": {"code": 0, "message": "ok"}, "backup": self.sets, "db": base}
        return {"info": told | {"archive": archive, "repo": repos}, "info_error": ""}

    async def host(self, _key: Any, _ip: str, call: Call, **_: Any) -> Any:
        if call.name == calls.STANZA_UPGRADE:
            self.stanza_upgrades.append(self.now)
            if not self.stanza_error:
                running = next(iter(self.postgres.values()))
                major, system = running["serverVersion"].partition(".")[0], int(running["systemIdentifier"])
                self.databases.append({"id": len(self.databases) + 1, "system-id": system, "version": major})
            return Outcome(ok=not self.stanza_error, output=f"ERROR: [055]: {self.stanza_error}")
        if call.name != calls.STANZA_CREATE:
            return Status(**self._info(), pgbackrest=self.host_tools.version or None)
        self.stanza_creates.append(self.now)
        if self.stanza_error:
            return Outcome(exit_code=47, output=f"ERROR: [047]: {self.stanza_error}")
        lone = int(call.path.partition("?repo=")[2] or 0)
        self.stanzas |= {lone} if lone else set(range(1, self._config()[1] + 1))
        return Outcome(ok=True, exit_code=0, output="")

    async def pod(self, _key: Any, ip: str, call: Call, **_: Any) -> Any:
        if call.name == calls.FENCE:
            assert "every=60" in call.path
            self.asked.append(self.now)
            if not self.agent_answers:
                raise AgentError("the agent at 10.0.0.1 did not answer fence within 30 s")
            if self.arrives:
                self.arrived |= self.stanzas & set(range(1, self._config()[1] + 1))
            return Fenced(ok=True)
        if call.name == calls.ARCHIVE_TIMEOUT:
            seconds = int(call.path.partition("=")[2])
            self.timeouts.append((self.now, seconds))
            if self.timeout_error:
                return Outcome(error=self.timeout_error)
            own = seconds or None
            self.archive_timeout |= {"own": own, "setBy": "pgwarden" if own else self.archive_timeout["setBy"]}
            return Outcome(ok=True, output=f"set to {seconds} s" if seconds else "reset")
        here = [p["metadata"]["name"] for p in self.store.objects.values() if p.get("status", {}).get("podIP") == ip]
        answer = {"reachable": True, "inRecovery": False, "systemIdentifier": "7", "archiveMode": "on"}
        answer |= {"archiveCommand": "/pgwarden/x"} | self.postgres[here[0]]
        archiver = {"lastArchivedWal": f"{SEGMENT}09", "lastArchivedTime": "2026-11-28T11:59:00.000000Z"}
        more = {"facts": {"archiveTimeout": self.archive_timeout} if self.archive_timeout else None}
        more |= {"unarchived": self.unarchived, "configHash": self._config()[0]}
        more |= {"pgbackrest": self.pgbackrest.get(here[0]), "place": self.places.get(here[0])}
        return msgspec.convert({"postgres": answer, "archiver": archiver} | more, Status)

    def _config(self) -> tuple[str, int]:
        """The digest that the pods tell, and how many storages the host knows."""
        if self.has_config or not self._given[0]:
            conf = self.store.objects.get(paths.of("configmaps", "ns", names.host("hippo")))
            secret = self.store.objects.get(paths.of("secrets", "ns", names.pods("hippo")))
            if conf is None or secret is None:
                return "", 0
            pod_conf = conf["data"][names.KEY_POD_CONF].encode()
            data = {key: base64.b64decode(value) for key, value in secret["data"].items()}
            known = len(set(re.findall(r"^repo(\d+)-", conf["data"][names.KEY_HOST_CONF], re.MULTILINE)))
            self._given = config.source_digest({names.KEY_POD_CONF: pod_conf} | data), known
        return self._given


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> type[World]:
    """Certificates are made once and then good: hours of looks would verify them thousands of times."""
    monkeypatch.setattr(certificates, "still_good", lambda leaf, *_: bool(leaf.cert))
    return World
