"""Which sets are lost between two statuses of a Repository, and who is said to have expired them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from controller.context import Context
from controller.repository import report
from controller.repository.backups_available import lost, tell, why_gone
from controller.repository.report import LISTED_BACKUPS
from pgwarden.api import names
from pgwarden.kube.client import KubeClient
from pgwarden.kube.events import Recorder
from tests.unit.contract import produced
from tests.unit.contract.produced import Set, chain


def listed(*numbers: int) -> dict:
    """A status that lists sets by number; a higher one ended later."""
    found = [{"label": f"{n:03}F", "repo": 1, "stopTime": f"2026-11-23T00:{n:03}Z"} for n in numbers]
    return {"backups": found[::-1]}


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
    status = {"phase": "Completed", "label": label, "repo": 1, "expired": list(expired)}
    return {"kind": "Backup", "metadata": {"name": name, "uid": name}, "status": status}


def test_the_backup_whose_retention_expired_a_set_is_named():
    first = backup("first", "001F")
    others = [first, backup("second", "002F"), backup("third", "003F", "001F")]
    assert why_gone(first, others) == ("Expired", "set 001F was expired by retention after Backup third")
    reason, message = why_gone(first, others[:2])
    assert reason == "Gone"
    assert message.startswith("set 001F is no longer in the repository")


@pytest.mark.parametrize(
    ("label", "reason", "told"),
    [("001F", "Expiring", "Expired"), ("001F", "WaitingForTurn", "Gone"), ("002F", "Expiring", "Gone")],
)
def test_a_set_that_goes_with_a_deleted_backup_is_expired_by_it(label, reason, told):
    going = {"name": "first", "deletionTimestamp": "2026-11-23T00:00:00Z", "finalizers": [names.FINALIZER_EXPIRE]}
    first = {"metadata": going, "kind": "Backup", "status": {"label": label, "reason": reason}}
    assert why_gone(backup("second", "001F_002I"), [first])[0] == told


def test_while_a_backup_runs_its_retention_may_have_expired_the_set():
    running = {"kind": "Backup", "metadata": {"name": "third", "uid": "third"}, "status": {"phase": "Running"}}
    first = backup("first", "001F")
    assert why_gone(first, [first, running]) == (
        "MayBeExpired",
        "set 001F is no longer in the repository; Backup third, which is running, may have expired it",
    )
    assert why_gone(first, [first, running | {"status": {"phase": "Pending", "reason": "WaitingForTurn"}}])[0] == "Gone"


class Written(KubeClient):
    """Notes the conditions that Backups are given, and nothing else."""

    def __init__(self) -> None:
        self.said: dict[str, tuple[str, str]] = {}

    async def request(self, method: str, path: str, *, body: Any = None, **_: Any) -> Any:
        if "/backups/" in path:
            (found,) = [one["value"] for one in body if one["path"] == "/status/conditions"]
            self.said[path.split("/")[-2]] = (found[0]["status"], found[0]["reason"])
        return {}


def made(one: Set, available: str = "True") -> dict:
    """The Completed Backup of a set."""
    status = {"phase": "Completed", "label": one.label, "repo": 1, "storage": "local"}
    status["completionTime"] = f"{one.stop:%Y-%m-%dT%H:%M:%SZ}"
    status["conditions"] = [{"type": "Available", "status": available, "lastTransitionTime": "2026-11-01T00:00:00Z"}]
    metadata = {"name": f"b-{one.number}", "namespace": "ns", "uid": f"u-{one.number}", "generation": 1}
    return {"kind": "Backup", "metadata": metadata, "spec": {"repository": "hippo"}, "status": status}


async def told(before: list[Set], after: list[Set], *backups: dict) -> dict[str, tuple[str, str]]:
    """What a look says of *backups*, at which the sets *before* have become *after*."""
    client = Written()
    facts = produced.facts(produced.read(after), before=produced.repository(before)["status"])
    caches = SimpleNamespace(backups=None, of_repository=lambda *_: list(backups))
    context = Context(client, caches, None, Recorder(client, "c"), None, clock=lambda: produced.NOW)  # type: ignore[arg-type]
    await tell(context, facts, report.status(facts, {}))
    return client.said


SETS = chain("F" * 60)


async def test_a_set_beyond_the_list_that_has_gone_is_told_of():
    backups = [made(one) for one in SETS]
    assert await told(SETS, SETS[2:], *backups) == {
        "b-3": ("False", "Gone"),
        "b-4": ("False", "Gone"),
    }


async def test_what_was_said_to_have_gone_and_is_there_is_taken_back():
    assert await told(SETS, SETS, made(SETS[0], "False"), made(SETS[-1], "False")) == {
        "b-3": ("True", "InRepository"),
        "b-62": ("True", "InRepository"),
    }


async def test_what_was_said_once_is_not_said_again():
    assert await told(SETS, SETS[1:], made(SETS[0], "False"), made(SETS[1])) == {}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"phase": "Running"}, None),
        ({"phase": "Completed", "label": "last", "expired": [SETS[0].label]}, "Expired"),
        ({"phase": "Failed"}, "Gone"),
    ],
    ids=["it runs still", "it expired the set", "it did not"],
)
async def test_what_a_running_backup_may_have_expired_is_told_of_when_it_has_ended(status: dict, reason: str | None):
    gone = made(SETS[0], "False")
    gone["status"]["conditions"][0] |= {"reason": "MayBeExpired", "message": "?"}
    metadata = {"name": "last", "namespace": "ns", "uid": "u-last", "generation": 1}
    last = {"kind": "Backup", "metadata": metadata, "spec": {"repository": "hippo"}, "status": status}
    assert await told(SETS[1:], SETS[1:], gone, last) == ({"b-3": ("False", reason)} if reason else {})


async def test_of_hundreds_that_have_gone_some_are_told_of_at_each_look():
    many = chain("F" * 300)
    assert len(await told(many, many[-10:], *[made(one) for one in many])) == 50
