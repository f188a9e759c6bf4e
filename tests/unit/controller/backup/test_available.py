"""Which sets are lost between two statuses of a Repository, and who is said to have expired them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from pgwarden.controller.agents import Agents
from pgwarden.controller.backup.available import lost, tell, why_gone
from pgwarden.controller.context import Caches, Context
from pgwarden.controller.repository.report import LISTED_BACKUPS
from pgwarden.controller.settings import Settings
from pgwarden.kube import errors
from pgwarden.kube.client import KubeClient
from pgwarden.kube.events import Recorder


def listed(*numbers: int) -> dict:
    """A status that lists sets by number; a higher one ended later."""
    return {"backups": [{"label": f"{n:03}F", "repo": 1, "stopTime": f"2026-11-23T00:{n:03}Z"} for n in numbers]}


LOSSES = {
    "nothing known before": ({}, listed(1, 2), set()),
    "all still there": (listed(1, 2), listed(1, 2, 3), set()),
    "the oldest expired": (listed(1, 2), listed(2, 3), {("001F", 1)}),
    "the newest expired": (listed(1, 2), listed(1), {("002F", 1)}),
    "all expired": (listed(1, 2), {"backups": []}, {("001F", 1), ("002F", 1)}),
    "one that only fell off the end of the list": (
        listed(*range(LISTED_BACKUPS)),
        listed(*range(1, LISTED_BACKUPS + 1)),
        set(),
    ),
    "one from the middle of a full list": (
        listed(*range(1, LISTED_BACKUPS + 1)),
        listed(*range(7), *range(8, LISTED_BACKUPS + 1)),
        {("007F", 1)},
    ),
}


@pytest.mark.parametrize(("before", "after", "gone"), LOSSES.values(), ids=LOSSES)
def test_what_was_listed_and_is_not_is_lost(before, after, gone):
    assert lost(before, after) == gone


def backup(name: str, label: str, *expired: str) -> dict:
    return {"metadata": {"name": name}, "status": {"label": label, "repo": 1, "expired": list(expired)}}


def test_the_backup_whose_retention_expired_a_set_is_named():
    first = backup("first", "001F")
    others = [first, backup("second", "002F"), backup("third", "003F", "001F")]
    assert why_gone(first, others) == "set 001F was expired by the retention, after Backup third"
    assert why_gone(first, others[:2]) == "set 001F is no longer in the repository"


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
    made = Context(client, Caches(client), Agents(client), Recorder(client, "c"), Settings.from_environment())
    for number, name in enumerate(["a", "b", "c"], 1):
        made.caches.backups._put(standing(name, number) | (odd if odd and name == "b" else {}))
    return made


REPOSITORY = {"metadata": {"namespace": "ns", "name": "hippo"}, "status": listed(1, 2, 3)}
FINAL = {
    "refused by the schema": errors.Invalid(422, "Invalid", "status.repo: must be an integer"),
    "forbidden": errors.Invalid(403, "Forbidden", "no"),
    "gone": errors.NotFound(404, "NotFound", "b"),
    "of a fault of ours": KeyError("x"),
}


@pytest.mark.parametrize("failure", FINAL.values(), ids=FINAL)
async def test_a_backup_that_cannot_be_told_holds_up_neither_the_others_nor_the_repository(failure):
    client = Writes({"b": failure})
    await tell(world(client), REPOSITORY, listed())
    assert client.told == ["a", "c"]


@pytest.mark.parametrize(
    "odd", [{"status": {"label": ["x"], "repo": "one"}}, {"status": None}, {"status": "x"}], ids=str
)
async def test_a_backup_of_an_odd_status_is_passed_over(odd):
    client = Writes({})
    await tell(world(client, odd), REPOSITORY, listed())
    assert client.told == ["a", "c"]


@pytest.mark.parametrize(
    "failure", [errors.Conflict(409, "Conflict", "b"), TimeoutError(), errors.ApiError(500, "", "")]
)
async def test_what_is_momentary_is_tried_again_before_the_repository_forgets_the_set(failure):
    client = Writes({"b": failure})
    with pytest.raises(type(failure)):
        await tell(world(client), REPOSITORY, listed())
    assert client.told == ["a", "c"]
