"""One Backup that cannot be told what has become of its set holds up neither the others nor the Repository."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from controller.agents import Agents
from controller.context import Caches, Context
from controller.repository.backups_available import tell
from controller.repository.facts import RepositoryFacts
from controller.settings import Settings
from pgwarden.api.kinds import RepositorySpec
from pgwarden.kube import errors
from pgwarden.kube.client import KubeClient
from pgwarden.kube.events import Recorder
from tests.unit.controller.backup.test_available import backup, listed


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What is logged; not drawn for a terminal, which takes seconds for each traceback."""
    with structlog.testing.capture_logs() as lines:
        yield lines


class Writes(KubeClient):
    """Takes statuses, but for those that a test lets fail."""

    def __init__(self, failures: dict[str, Exception]) -> None:
        self.failures = failures
        self.told: list[str] = []

    async def request(self, method: str, path: str, **_: Any) -> Any:
        name = path.split("/")[-2]
        if name in self.failures:
            raise self.failures[name]
        if method == "PATCH":
            self.told.append(name)
        return {}


def standing(name: str, number: int) -> dict:
    made = backup(name, f"{number:03}F")
    metadata = {"namespace": "ns", "uid": name, "generation": 1, "resourceVersion": "1"}
    return {"kind": "Backup", "metadata": made["metadata"] | metadata, "spec": {"repository": "hippo"},
            "status": made["status"]}  # fmt: skip


def world(client: Writes, odd: dict | None = None) -> Context:
    made = Context(
        client,
        Caches(client),
        Agents(client),
        Recorder(client, "c"),
        Settings.from_environment({"PGWARDEN_IMAGE": "pgwarden:test"}),
    )
    for number, name in enumerate(["a", "b", "c"], 1):
        made.caches.backups._put(standing(name, number) | (odd if odd and name == "b" else {}))
    return made


REPOSITORY = {"metadata": {"namespace": "ns", "name": "hippo"}, "status": listed(1, 2, 3)}
FACTS = RepositoryFacts(REPOSITORY, RepositorySpec(), datetime(2026, 11, 28, tzinfo=UTC))
FINAL = {
    "refused by the schema": errors.Invalid(422, "Invalid", "status.repo: must be an integer"),
    "forbidden": errors.Invalid(403, "Forbidden", "no"),
    "gone": errors.NotFound(404, "NotFound", "b"),
    "of a fault of ours": KeyError("x"),
}


@pytest.mark.parametrize("failure", FINAL.values(), ids=FINAL)
async def test_a_backup_that_cannot_be_told_holds_up_neither_the_others_nor_the_repository(failure):
    client = Writes({"b": failure})
    await tell(world(client), FACTS, listed())
    assert client.told == ["a", "c"]


@pytest.mark.parametrize(
    "odd", [{"status": {"label": ["x"], "repo": "one"}}, {"status": None}, {"status": "x"}], ids=str
)
async def test_a_backup_of_an_odd_status_is_passed_over(odd):
    client = Writes({})
    await tell(world(client, odd), FACTS, listed())
    assert client.told == ["a", "c"]


@pytest.mark.parametrize(
    "failure", [errors.Conflict(409, "Conflict", "b"), TimeoutError(), errors.ApiError(500, "", "")]
)
async def test_what_is_momentary_is_tried_again_before_the_repository_forgets_the_set(failure):
    client = Writes({"b": failure})
    with pytest.raises(type(failure)):
        await tell(world(client), FACTS, listed())
    assert client.told == ["a", "c"]
