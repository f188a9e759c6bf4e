"""A PostgresCluster that is being deleted: its instances archive their last WAL, and nothing holds it for ever."""

from __future__ import annotations

import copy
import dataclasses
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from controller.agents import AgentError
from controller.cluster import deletion, deletion_steps
from controller.cluster.deletion import ARCHIVED, LONGEST, NOT_ARCHIVED, PATIENCE, Archive, Leaving, Release, Stop, Wait
from controller.cluster.facts import ClusterFacts, Instance
from controller.cluster.reconcile import ClusterController
from controller.context import Caches, Context
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.contract.calls import Fenced
from pgwarden.kube import errors
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from pgwarden.kube.events import Recorder
from tests.unit.controller.cluster.conftest import NOW, facts, gathered, instance

Object = dict[str, Any]
KEY = ("ns", "hippo")
HAS = Fenced(ok=True, wal="0" * 24)
HAS_NOT = Fenced(error="S3 does not answer")
DEAD = Fenced(error="connection refused", unreached=True)
PUSHED = Fenced(error="connection refused", unreached=True, last="0" * 23 + "7")


def stopped(one: Instance, *, ended: bool = False) -> Instance:
    """Its Deployment asks for no pod; its pod may still be there."""
    scaled = one.deployment | {"spec": one.deployment["spec"] | {"replicas": 0}}
    return dataclasses.replace(one, deployment=scaled, pod=None if ended else one.pod)


ONE, TWO = instance(1, "primary"), instance(2)


def leaving(
    *instances: Instance,
    answer: Fenced | None = None,
    after: float = 1,
    phase: str = "Ready",
    initialized: bool = True,
    foreground: bool = False,
    repository: Object | None = None,
    leader: str | None = None,
) -> Leaving:
    """One that was deleted *after* seconds ago."""
    more = {} if leader is None else {"leader": leader}
    found = facts(*instances, status={"phase": phase, "initialized": initialized}, **more)
    metadata = found.cluster["metadata"] | {"deletionTimestamp": (NOW - timedelta(seconds=after)).isoformat()}
    if foreground:
        metadata |= {"finalizers": ["foregroundDeletion", *metadata["finalizers"]]}
    found = dataclasses.replace(found, cluster=found.cluster | {"kind": "PostgresCluster", "metadata": metadata})
    if repository is not None:
        found = dataclasses.replace(found, repository=repository or None)
    return Leaving(found, answer)


STEPS = {
    "the primary archives what it has, before anything stops": (leaving(ONE, TWO), Archive, "hippo-1"),
    "asked again for a while": (leaving(ONE, answer=HAS_NOT, after=PATIENCE), Archive, "hippo-1"),
    "replicas stop first: none may take over": (leaving(ONE, TWO, instance(3), answer=HAS), Stop, "hippo-2 hippo-3"),
    "the primary waits until a replica has ended": (leaving(ONE, stopped(TWO), answer=HAS), Wait, "hippo-2-pod"),
    "then it stops": (leaving(ONE, stopped(TWO, ended=True), answer=HAS), Stop, "hippo-1"),
    "an only instance": (leaving(ONE, answer=HAS), Stop, "hippo-1"),
    "its end is waited for": (leaving(stopped(ONE), answer=HAS, phase="Deleting"), Wait, "hippo-1-pod"),
    "without a primary all stop at once": (leaving(instance(1), TWO, leader="x"), Stop, "hippo-1 hippo-2"),
    "one that runs, and cannot archive, tries once more as it stops": (
        leaving(ONE, answer=HAS_NOT, after=PATIENCE + 1), Stop, "hippo-1",
    ),
    "what a dead one left has been archived for it": (leaving(ONE, answer=PUSHED), Stop, "hippo-1"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "step", "what"), STEPS.values(), ids=STEPS)
def test_what_is_done_next(given: Leaving, step: type, what: str):
    found = deletion.decide(given)
    assert isinstance(found, step)
    assert found.message.startswith("archiving the last WAL before the cluster is deleted")
    match found:
        case Stop(instances, _):
            assert " ".join(one.name for one in instances) == what
        case Archive(one, _):
            assert one.name == what
        case _:
            assert what in found.message


GONE = stopped(ONE, ended=True)
RELEASES = {
    "all have stopped": (leaving(GONE, answer=HAS, phase="Deleting"), ARCHIVED, "archived its last WAL"),
    "the controller was restarted meanwhile": (leaving(GONE, phase="Deleting"), ARCHIVED, "archived its last WAL"),
    "a dead one's was pushed": (leaving(GONE, answer=PUSHED, phase="Deleting"), ARCHIVED, "up to segment 0000"),
    "it could not archive": (leaving(GONE, answer=HAS_NOT, phase="Deleting"), NOT_ARCHIVED, "S3 does not answer"),
    "none ran": (leaving(GONE), NOT_ARCHIVED, "no instance was running"),
    "a dead one's agent does not answer": (
        leaving(ONE, answer=DEAD, after=PATIENCE + 1), NOT_ARCHIVED, "connection refused",
    ),
    "one does not stop": (
        leaving(stopped(ONE), answer=HAS, phase="Deleting", after=LONGEST + 1), NOT_ARCHIVED, "hippo-1 did not stop",
    ),
    "the Repository has gone": (leaving(ONE, repository={}), NOT_ARCHIVED, "its Repository was deleted"),
    "the Repository goes": (
        leaving(ONE, repository={"metadata": {"deletionTimestamp": "x"}}), NOT_ARCHIVED, "its Repository was deleted",
    ),
    "deleted in the foreground": (leaving(ONE, foreground=True), NOT_ARCHIVED, "a foreground deletion"),
    "never initialized": (leaving(instance(1), initialized=False, leader="x"), "", ""),
    "never made": (leaving(phase="Failed", initialized=False), "", ""),
}  # fmt: skip


@pytest.mark.parametrize(("given", "reason", "words"), RELEASES.values(), ids=RELEASES)
def test_when_the_finalizer_comes_off_and_what_is_said(given: Leaving, reason: str, words: str):
    found = deletion.decide(given)
    assert isinstance(found, Release)
    assert found.reason == reason
    assert words in found.message
    assert ("may be missing" in found.message) == (reason == NOT_ARCHIVED)


# --- carried out -------------------------------------------------------------------------------------------------


class Api(KubeClient):
    def __init__(self) -> None:
        super().__init__(Access("http://fake", None))
        self.terminating = self.quota = self.gone = False
        self.sent: list[tuple[str, str, Any]] = []

    async def request(self, method: str, path: str, *, body: Any = None, params: Any = None, **_: Any) -> Any:
        if (params or {}).get("dryRun") == "All":
            if self.terminating:
                raise errors.Terminating(403, "Forbidden", "is being terminated")
            if self.quota:
                raise errors.Invalid(403, "Forbidden", "exceeded quota")
            return body
        if self.gone and path.endswith("postgresclusters/hippo"):
            raise errors.NotFound(404, "NotFound", path)
        self.sent.append((method, path.rpartition("/namespaces/ns/")[2], copy.deepcopy(body)))
        return body or {}

    def finalizers(self) -> list[list[str]]:
        bodies = [body for _, path, body in self.sent if path == "postgresclusters/hippo"]
        return [body["metadata"]["finalizers"] for body in bodies]

    def scaled(self) -> list[tuple[str, int]]:
        found = [(path, body) for _, path, body in self.sent if path.startswith("deployments/")]
        return [(path.rpartition("/")[2], body["spec"]["replicas"]) for path, body in found]

    def events(self) -> list[str]:
        return [body["reason"] for _, path, body in self.sent if path == "events"]


class Agents:
    answer: Fenced | AgentError = HAS

    async def pod(self, *_: Any, **__: Any) -> Fenced:
        if isinstance(self.answer, AgentError):
            raise self.answer
        return self.answer


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def world(api: Api, monkeypatch: pytest.MonkeyPatch):
    """A controller, and what sets the facts that it gathers."""
    settings = Settings.from_environment({"PGWARDEN_IMAGE": "pgwarden:test"})
    agents: Any = Agents()
    context = Context(api, Caches(api), agents, Recorder(api, "c"), settings, clock=lambda: NOW)
    controller = ClusterController(context)

    def put(found: ClusterFacts) -> ClusterController:
        context.caches.clusters._put(found.cluster)
        monkeypatch.setattr(deletion_steps, "gather", gathered(found))
        return controller

    return put


async def test_it_archives_stops_and_is_let_go(world, api: Api):
    controller = world(leaving(ONE).facts)
    assert await controller.reconcile(KEY) is not None
    assert (api.scaled(), api.events()) == ([], ["Deleting"])
    assert await controller.reconcile(KEY) is not None
    assert api.scaled() == [("hippo-1", 0)]
    assert api.finalizers() == []
    assert await world(leaving(GONE, phase="Deleting").facts).reconcile(KEY) is None
    assert api.finalizers() == [[]]
    assert api.events()[-1] == ARCHIVED


@pytest.mark.parametrize("answer", [AgentError("cannot be reached"), DEAD, HAS_NOT], ids=["away", "dead", "cannot"])
async def test_what_could_not_be_archived_is_told(world, api: Api, monkeypatch, answer):
    monkeypatch.setattr(Agents, "answer", answer)
    await world(leaving(ONE).facts).reconcile(KEY)
    await world(leaving(ONE, after=PATIENCE + 1).facts).reconcile(KEY)
    await world(leaving(GONE, phase="Deleting", after=PATIENCE + 9).facts).reconcile(KEY)
    assert api.finalizers()[-1] == []
    assert NOT_ARCHIVED in api.events()


async def test_in_a_namespace_that_goes_it_comes_off_at_once(world, api: Api):
    api.terminating = True
    assert await world(leaving(ONE, TWO).facts).reconcile(KEY) is None
    assert (api.finalizers(), api.scaled(), api.events()) == ([[]], [], [])


async def test_a_quota_does_not_look_like_a_namespace_that_goes(world, api: Api):
    api.quota = True
    await world(leaving(ONE).facts).reconcile(KEY)
    assert api.finalizers() == []


async def test_a_cluster_from_before_gets_the_finalizer_and_keeps_others(world, api: Api):
    found = facts(ONE, status={"phase": "Ready", "initialized": True})
    found.cluster["metadata"]["finalizers"] = ["other"]
    spec = {"instances": {"replicas": 1, "storage": {"size": "1Gi"}}, "repository": {"storageType": "local"}}
    cluster = found.cluster | {"apiVersion": names.API_VERSION, "kind": "PostgresCluster", "spec": spec}
    await world(dataclasses.replace(found, cluster=cluster)).reconcile(KEY)
    assert api.finalizers() == [["other", names.FINALIZER_LAST_WAL]]
    assert api.sent[-1][2]["metadata"]["resourceVersion"] == "1"


async def test_another_s_finalizer_stays_and_without_ours_nothing_is_done(world, api: Api):
    given = leaving(ONE).facts
    given.cluster["metadata"]["finalizers"] = ["other"]
    assert await world(given).reconcile(KEY) is None
    assert api.sent == []


async def test_one_whose_spec_cannot_be_read_is_let_go(world, api: Api, monkeypatch):
    controller = world(leaving(ONE).facts)

    def broken(*_: Any) -> ClusterFacts:
        raise msgspec.ValidationError("Expected int")

    monkeypatch.setattr(deletion_steps, "gather", broken)
    assert await controller.reconcile(KEY) is None
    assert (api.finalizers(), api.events()) == ([[]], [NOT_ARCHIVED])


async def test_a_status_that_an_old_definition_refuses_holds_nothing_up(world, api: Api, monkeypatch):
    async def refused(*_: Any) -> bool:
        raise errors.Invalid(422, "Invalid", "status.phase: Unsupported value")

    monkeypatch.setattr(deletion_steps.status, "write", refused)
    controller = world(leaving(ONE).facts)
    for _ in range(2):
        await controller.reconcile(KEY)
    assert api.scaled() == [("hippo-1", 0)]


async def test_by_a_cache_that_lags_behind_its_end_is_not_told_twice(world, api: Api):
    api.gone = True
    assert await world(leaving(GONE, phase="Deleting").facts).reconcile(KEY) is None
    assert api.events() == []
