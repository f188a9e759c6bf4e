"""Whoever asks for `info` asks every pod that may answer, and none that has ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from controller import stanza_info
from controller.agents import AgentError
from controller.cluster.clone_source import Sources
from controller.restore.gather import _Reader
from pgwarden.api import names
from pgwarden.api.kinds import DataSource, RestoreSpec
from pgwarden.contract import calls
from pgwarden.contract.calls import InfoAsOf
from pgwarden.contract.status import Status
from tests.unit.controller.backup.test_proof import stanza
from tests.unit.controller.replicas import hosts

GOOD = stanza(0, uid="u-one")
TROUBLE = {"info": None, "infoError": "ERROR: [103]: no valid repository"}


def host(ip: str, phase: str = "Running") -> dict[str, Any]:
    labels = {names.LABEL_COMPONENT: names.COMPONENT_HOST}
    return {"metadata": {"name": f"host-{ip}", "labels": labels}, "status": {"phase": phase, "podIP": ip}}


class Agents:
    """What the pod at each address answers; one that is not told of does not."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.asked = answers, list[str]()

    async def host(self, _key: Any, ip: str, *_: Any, **__: Any) -> Any:
        self.asked.append(ip)
        if ip not in self.answers:
            raise AgentError(f"the agent at {ip} cannot be reached")
        return msgspec.convert(self.answers[ip], Status)


#: The pods in their order, what they answer, and whether `info` was had, or why not.
CASES = [
    pytest.param(
        [host("a", "Failed"), host("b")], {"a": GOOD, "b": GOOD}, "", ["b"], id="an evicted one is passed over"
    ),
    pytest.param([host("a"), host("b")], {"b": GOOD}, "", ["a", "b"], id="one that does not answer"),
    pytest.param([host("a"), host("b")], {"a": TROUBLE, "b": GOOD}, "", ["a", "b"], id="one that cannot read it"),
    pytest.param(
        [host("a"), host("b")], {"a": TROUBLE}, "no valid repository", ["a", "b"], id="what one has answered is told"
    ),
    pytest.param([host("a")], {}, "cannot be reached", ["a"], id="none answers"),
    pytest.param([host("a", "Succeeded")], {"a": GOOD}, "has no running pod", [], id="none runs"),
]


def context(pods: list[dict[str, Any]], answers: dict[str, Any]) -> Any:
    known = {"metadata": {"name": "hippo", "namespace": "ns"}, "spec": {}}
    repositories = SimpleNamespace(get=lambda *_: known)
    caches = SimpleNamespace(restores=None, of_repository=lambda *_: [], repositories=repositories)
    settings = SimpleNamespace(watches=lambda _: True)
    return SimpleNamespace(caches=caches, hosts=hosts(pods), agents=Agents(**answers), client=None, settings=settings)


@pytest.mark.parametrize(("pods", "answers", "why", "asked"), CASES)
async def test_info_is_asked_of_each_pod_that_may_answer(pods, answers, why, asked):
    where = context(pods, answers)
    found = await stanza_info.read(where, "ns", "hippo", refresh=True)
    assert (why in found) if isinstance(found, str) else (not why and len(found.backups) == 1)
    assert where.agents.asked == asked


@pytest.mark.parametrize(("pods", "answers", "why", "asked"), CASES)
async def test_a_clone_reads_its_source_in_the_same_way(pods, answers, why, asked, monkeypatch):
    where = context(pods, answers)

    async def find_named(*_: Any) -> Any:
        return {"metadata": {"name": "hippo", "namespace": "ns"}, "spec": {}}

    monkeypatch.setattr("controller.cluster.clone_source.find_named", find_named)
    source = await Sources(where).read(DataSource(repository="hippo"), "ns")
    assert why in source.error
    assert (source.info is not None) is not bool(why)
    assert where.agents.asked == asked


@pytest.mark.parametrize(("pods", "answers", "why", "asked"), CASES)
async def test_a_restore_reads_its_repository_in_the_same_way(pods, answers, why, asked, monkeypatch):
    where, reader = context(pods, answers), _Reader.__new__(_Reader)

    async def items(*_: Any, **__: Any) -> Any:
        return pods

    reader._context, reader._namespace, reader.items = where, "ns", items
    info, error = await reader.info(RestoreSpec(repository="hippo"), {"spec": {}})
    assert why in error
    assert (info is not None) is not bool(why)
    assert where.agents.asked == asked


@pytest.mark.parametrize(
    ("namespace", "storage", "told", "waits"),
    [
        ("theirs", "local", "2.59", True),
        ("theirs", "local", "2.60", False),
        ("theirs", "local", None, False),
        ("theirs", "s3", "2.59", False),
        ("ns", "local", "2.59", False),
    ],
)
async def test_a_source_of_another_namespace_is_waited_for_until_its_host_has_this_releases_version(
    monkeypatch, namespace: str, storage: str, told: str | None, waits: bool
):
    async def host(*_: Any, **__: Any) -> Status:
        return Status(info=stanza(0, uid="u-one")["info"], pgbackrest=told)

    async def find_named(*_: Any) -> Any:
        about = {"name": "hippo", "namespace": namespace}
        return {"metadata": about, "spec": {"storageType": storage}}

    pod = {"metadata": {"name": "host"}, "status": {"podIP": "a"}}
    where: Any = SimpleNamespace(
        caches=SimpleNamespace(restores=None, of_repository=lambda *_: []),
        hosts=hosts([pod]),
        agents=SimpleNamespace(host=host),
        client=None,
        settings=SimpleNamespace(pgbackrest="2.60", watches=lambda _: True),
    )
    monkeypatch.setattr("controller.cluster.clone_source.find_named", find_named)
    monkeypatch.setattr("controller.cluster.clone_source.rules.allows", lambda *_: True)
    found = await Sources(where).read(DataSource(repository="hippo", namespace=namespace), "ns")
    assert ("runs pgBackRest 2.59, and this release has 2.60" in found.error) is waits
    assert (found.info is None) is waits


TIME = "2026-11-23T10:00:00.9+01:00"
BOTH = {"metadata": {"name": "hippo", "namespace": "ns"}, "spec": {"storageType": "local,s3"}}


class Past:
    """A host whose storage has been emptied since: what it answers to each call."""

    def __init__(self, answer: InfoAsOf) -> None:
        self.answer, self.asked = answer, list[str]()

    async def host(self, _key: Any, _ip: str, call: calls.Call[Any], **_: Any) -> Any:
        self.asked.append(call.path)
        return self.answer if call.name == calls.INFO_AS_OF else msgspec.convert(TROUBLE, Status)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(InfoAsOf(ok=True, info=GOOD["info"]), "", id="it held backups"),
        pytest.param(InfoAsOf(ok=True), "there was no stanza at 2026-11-23T09:00:00Z", id="it held nothing"),
        pytest.param(InfoAsOf(error="403 (Forbidden)"), "403 (Forbidden)", id="versions may not be read"),
    ],
)
async def test_what_a_storage_held_is_asked_with_the_number_of_s3_and_the_second(monkeypatch, answer, why):
    where, reader = context([host("a")], {}), _Reader.__new__(_Reader)
    where.agents = Past(answer)

    async def items(*_: Any, **__: Any) -> Any:
        return [host("a")]

    async def find_named(*_: Any) -> Any:
        return BOTH

    reader._context, reader._namespace, reader.items = where, "ns", items
    info, error = await reader.info(RestoreSpec(repository="hippo", repo_target_time=TIME), BOTH)
    assert (info is not None, why in error) == (not why, True)
    monkeypatch.setattr("controller.cluster.clone_source.find_named", find_named)
    source = await Sources(where).read(DataSource(repository="hippo", repo_target_time=TIME), "ns")
    assert (source.info is not None, why in source.error) == (not why, True)
    assert [one for one in where.agents.asked if one != "status"] == [
        "info-as-of?repo=2&time=2026-11-23T09:00:00Z",
        "info-as-of?repo=2&time=2026-11-23T09:00:00Z",
    ]
