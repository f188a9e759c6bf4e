"""What a Repository and a Backup find under the names of their own, and is somebody else's."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from controller import certificates, network_policies, owned
from controller.backup import job_conflicts
from controller.context import Caches, Context
from controller.owned import InTheWayError
from controller.repository import decide, render
from controller.repository.facts import RepositoryFacts
from controller.repository.reconcile import RepositoryController
from controller.repository.secrets import Conf, ensure_authority, ensure_leaves
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


def found(labels=None, *owners: str, name: str = "hippo-pgbackrest"):
    references = {"ownerReferences": [{"kind": "Any", "name": "any", "uid": uid} for uid in owners]} if owners else {}
    return {"metadata": {"name": name, "uid": "u", "resourceVersion": "1", "labels": labels or {}} | references}


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
    there["metadata"]["name"] = claim["metadata"]["name"]
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


MADE = {
    "ConfigMap": ("configmaps", render.config_map(REPOSITORY, "", "")),
    "Service": ("services", render.services(REPOSITORY)[0]),
    "NetworkPolicy": (
        "networkpolicies",
        network_policies.of_repository(
            REPOSITORY, RepositorySpec(), Settings.from_environment({"PGWARDEN_IMAGE": "pgwarden:test"})
        ),
    ),
}


@pytest.mark.parametrize(("plural", "made"), MADE.values(), ids=MADE)
@pytest.mark.parametrize(
    ("there", "applied"),
    [
        (None, True), (found({}, "r"), True), (found(LABELS), True), (found(), False), (found({}, "s"), False),
        (found(LABELS, "earlier"), False), (found(LABELS | {names.LABEL_OWNER_REPOSITORY: "other"}), False),
    ],
    ids=["there is none", "its own", "left by an orphaning deletion", "a stranger's", "another's", "an earlier one's",
         "another Repository's"],
)  # fmt: skip
async def test_what_a_repository_consists_of_is_applied_over_its_own_alone(
    controller, client, plural, made, there, applied
):
    client.there = there
    if applied:
        await controller._applier._apply_one(plural, made)
    else:
        with pytest.raises(InTheWayError, match=f"there is a {made['kind']} hippo-pgbackrest that does not belong"):
            await controller._applier._apply_one(plural, made)
    assert bool(client.written) == applied


SECRETS = [names.ca_secret("hippo"), names.host("hippo"), names.pods("hippo")]


@pytest.mark.parametrize("name", SECRETS)
async def test_a_secret_of_a_repositorys_name_that_is_a_strangers_is_neither_believed_nor_written(client, name):
    """Who made it beforehand would hold the key of the CA, or lose their own Secret's content."""
    ca = certificates.new_ca("x", NOW)
    data = {"ca.crt": base64.b64encode(ca.cert).decode(), "ca.key": base64.b64encode(ca.key).decode()}
    client.there = found({"app": "mine"}, name=name) | {"data": data}
    ours = found({}, "r") | {"data": data}
    real = client.request

    async def request(method: str, path: str, **more: Any) -> Any:
        others = method == "GET" and not path.endswith(f"/{name}")
        return ours if others else await real(method, path, **more)

    client.request = request
    is_authority = name == names.ca_secret("hippo")
    with pytest.raises(InTheWayError, match=f"there is a Secret {name} that does not belong to this Repository"):
        await (
            ensure_authority(client, REPOSITORY, NOW)
            if is_authority
            else ensure_leaves(client, REPOSITORY, ours, Conf(), "", NOW, "cluster.local")
        )
    assert not [one for one in client.written if one.endswith(f"/{name}")]


def test_one_without_an_owner_is_told_how_it_would_be_used():
    said = owned.stranger(found(), MADE["ConfigMap"][1])
    assert said.endswith(f"give it the labels {names.MANAGED_BY}=pgwarden, {names.LABEL_OWNER_REPOSITORY}=hippo")


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
