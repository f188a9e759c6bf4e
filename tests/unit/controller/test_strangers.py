"""What a Repository and a Backup find under the names of their own, and is somebody else's."""

from __future__ import annotations

from typing import Any

import pytest

from controller.backup import job_conflicts
from controller.context import Caches, Context
from controller.repository import decide, render
from controller.repository.apply import InTheWayError
from controller.repository.facts import RepositoryFacts
from controller.repository.reconcile import RepositoryController
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.api.kinds import LocalStorage, RepositorySpec
from pgwarden.kube import errors
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from pgwarden.kube.events import Recorder
from tests.unit.controller.cluster.conftest import NOW

REPOSITORY = {
    "kind": "Repository",
    "metadata": {"name": "hippo", "namespace": "ns", "uid": "r", "generation": 1},
    "spec": {},
}
LABELS = {names.MANAGED_BY: "pgwarden", names.LABEL_OWNER_REPOSITORY: "hippo"}


class One(KubeClient):
    """There is one object, whatever is asked for."""

    def __init__(self) -> None:
        super().__init__(Access("http://fake", None))
        self.there: dict[str, Any] | None = None
        self.written: list[str] = []

    async def request(self, method: str, path: str, **_: Any) -> Any:
        if method != "GET":
            self.written.append(f"{method} {path.rpartition('/namespaces/ns/')[2]}")
            return {"metadata": {"resourceVersion": "2"}}
        if self.there is None:
            raise errors.NotFound(404, "NotFound", path)
        return self.there


@pytest.fixture
def client() -> One:
    return One()


@pytest.fixture
def controller(client: One) -> RepositoryController:
    agents: Any = None
    return RepositoryController(
        Context(
            client,
            Caches(client),
            agents,
            Recorder(client, "c"),
            Settings.from_environment({"PGWARDEN_IMAGE": "pgwarden:test"}),
        )
    )


def found(labels=None, *owners: str):
    references = {"ownerReferences": [{"kind": "Any", "name": "any", "uid": uid} for uid in owners]} if owners else {}
    return {"metadata": {"name": "x", "uid": "u", "resourceVersion": "1", "labels": labels or {}} | references}


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (found(LABELS), ""),
        (found(LABELS | {"team": "blue"}), ""),
        (found(), "PersistentVolumeClaim hippo-pgbackrest-repo that does not belong to this Repository"),
        (found(LABELS, "s"), "PersistentVolumeClaim hippo-pgbackrest-repo that does not belong to this Repository"),
        (
            found(LABELS | {names.LABEL_OWNER_REPOSITORY: "other"}),
            "PersistentVolumeClaim hippo-pgbackrest-repo that does not",
        ),
    ],
    ids=[
        "an earlier Repository's",
        "with labels of the user's",
        "a stranger's",
        "with an owner",
        "another Repository's",
    ],
)
async def test_the_volume_of_the_backups_is_adopted_by_its_labels(controller, client, there, words):
    client.there, claim = there, render.claim(REPOSITORY, LocalStorage())
    if words:
        with pytest.raises(InTheWayError, match=words):
            await controller._applier._ensure_claim(claim)
    else:
        await controller._applier._ensure_claim(claim)
    assert client.written == []


@pytest.mark.parametrize(
    ("there", "applied"),
    [(None, True), (found({}, "r"), True), (found(LABELS), False), (found(LABELS, "earlier"), False)],
    ids=["there is none", "its own", "a stranger's", "an earlier Repository's"],
)
async def test_the_host_is_applied_over_its_own_deployment_alone(controller, client, there, applied):
    client.there = there
    host = render.deployment(
        REPOSITORY, RepositorySpec(), Settings.from_environment({"PGWARDEN_IMAGE": "pgwarden:test"})
    )
    if applied:
        await controller._applier._apply_one("deployments", host)
    else:
        with pytest.raises(
            InTheWayError, match="there is a Deployment hippo-pgbackrest that does not belong to this Repository"
        ):
            await controller._applier._apply_one("deployments", host)
    assert client.written == (["PATCH deployments/hippo-pgbackrest"] if applied else [])


def test_what_is_in_the_way_is_why_the_repository_is_not_ready():
    facts = RepositoryFacts(REPOSITORY, RepositorySpec(), NOW, in_the_way="there is a Deployment x")
    assert decide.ready(facts) == decide.ConditionVerdict(False, "NotOurs", "there is a Deployment x")


@pytest.mark.parametrize(
    ("job", "phase", "strangers"),
    [
        (found({}, "b"), "", False),
        (found({}, "other"), "Running", True),
        (found(), "", True),
        (found(), "Pending", True),
    ],
    ids=["its own", "another's", "nobody's, before it has begun", "nobody's, while it waits"],
)
def test_a_job_of_its_name_need_not_be_the_backups(job, phase, strangers):
    assert job_conflicts.is_strangers(job, {"metadata": {"uid": "b"}, "status": {"phase": phase}}) is strangers
