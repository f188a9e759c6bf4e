"""Room on a full volume: what is offered to be expired, and what becomes of the user's word."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.agents import AgentError
from controller.repository import expiry, lost, report, room
from controller.repository.expiry import Offer
from pgwarden.api import names
from pgwarden.contract import calls
from pgwarden.contract.calls import Outcome
from pgwarden.contract.status import Usage, Volume
from pgwarden.kube import paths
from tests.unit.contract import produced
from tests.unit.contract.produced import Set
from tests.unit.controller.repository.conftest import BOTH, LOCAL

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MIB = 2**20
OLD = Set(kind="full", stop=NOON, number=3)
NEW = Set(kind="full", stop=NOON + timedelta(days=7), number=30)
DIFF = Set(kind="diff", stop=NOON + timedelta(days=1), number=5, full=OLD.label, prior=OLD.label)
INCR = Set(kind="incr", stop=NOON + timedelta(days=2), number=7, full=OLD.label, prior=DIFF.label)
TWO = [OLD, DIFF, INCR, NEW]


def facts(*sets: Set, storage_type: str = "local", volume: Volume | None = None) -> Any:
    found = produced.facts(produced.read(sets, storage_type), storage_type)
    return dataclasses.replace(found, volume=volume)


def test_the_oldest_full_backup_is_offered_with_all_that_build_on_it():
    found = expiry.offer(facts(*TWO))
    assert found == Offer("hippo", "local", 1, OLD.label, others=2, bytes=3 * 2812904, remaining=1)
    assert found.words == (
        f"expire the oldest full backup {OLD.label} with the 2 that build on it (8.0 MiB), and the WAL before the next "
        "one: kubectl pgwarden expire hippo"
    )
    (storage,) = report.status(facts(*TWO), {})["storages"]
    assert storage["expirable"] == {"label": OLD.label, "sets": 3, "size": 3 * 2812904}


BROKEN = dataclasses.replace(NEW, error=True)
NOTHING = {
    "no backup": facts(),
    "a single full backup": facts(OLD, DIFF, INCR),
    "a later one with invalid pages": facts(OLD, BROKEN),
    "a bucket": facts(*TWO, storage_type="s3"),
    "the other storage's": facts(OLD, dataclasses.replace(NEW, repo=2), storage_type="local,s3"),
}


@pytest.mark.parametrize("case", NOTHING)
def test_nothing_is_offered_where_nothing_can_be_spared(case: str):
    assert expiry.offer(NOTHING[case]) is None
    assert all("expirable" not in one for one in report.status(NOTHING[case], {})["storages"])


def test_a_full_volume_says_what_can_be_freed_and_with_which_word():
    full = Volume(mounted=True, size=400 * MIB, free=MIB)
    trouble = lost.unwritable(facts(*TWO, volume=full))
    assert trouble is not None
    assert trouble.sentence.endswith(
        "WAL waits in pg_wal. Raise spec.local.size if the storage class can expand volumes; "
        f"or expire the oldest full backup {OLD.label} with the 2 that build on it (8.0 MiB), and the WAL before the "
        "next one: kubectl pgwarden expire hippo"
    )
    alone = lost.unwritable(facts(OLD, volume=full))
    assert alone is not None
    assert alone.sentence.endswith("can expand volumes; there is no older full backup to expire")


def test_a_volume_that_fills_up_says_so_too():
    filled = Volume(mounted=True, size=100 * MIB, used=85 * MIB, free=15 * MIB)
    message = room.verdict(facts(*TWO, volume=filled))[2]
    assert message.startswith("the volume of storage local is 85 % full (100.0 MiB in all). To make room: expire ")


@pytest.mark.parametrize(
    ("sets", "label", "why"),
    [
        (TWO, "20200101-000000F", f"storage local has no full backup 20200101-000000F; its full backups: {OLD.label}, {NEW.label}"),
        (TWO, DIFF.label, f"has no full backup {DIFF.label}"),
        (TWO, NEW.label, f"full backup {NEW.label} stays: storage local has no later one without errors"),
        ([OLD], OLD.label, "has no later one"),
        ([], "x", "its full backups: none"),
    ],
)  # fmt: skip
def test_a_word_that_names_what_must_stay_is_refused(sets, label, why):
    found = expiry.judge(facts(*sets), label)
    assert isinstance(found, str)
    assert why in found


# --- carried out ---------------------------------------------------------------------------------------------------


class Spared:
    """A Repository with two full backups, and what its host was asked to expire."""

    def __init__(self, make: Any, spec: Any = LOCAL) -> None:
        self.world = make(spec)
        self.world.stanzas = self.world.arrived = {1, 2}
        self.world.sets = [one.json | {"database": {"id": 1, "repo-key": 1}} for one in TWO]
        self.asked: list[str] = []
        self.answer: Outcome | AgentError = Outcome(ok=True, output=", ".join(one.label for one in TWO[:3]))
        before = self.world.host

        async def host(key: Any, ip: str, call: Any, **more: Any) -> Any:
            if call.name != calls.EXPIRE:
                return await before(key, ip, call, **more)
            self.asked.append(call.path)
            if isinstance(self.answer, AgentError):
                raise self.answer
            if self.answer.ok:
                self.world.sets = self.world.sets[3:]
            return self.answer

        self.world.host = host

    def say(self, label: str) -> None:
        path = paths.of("repositories", "ns", "hippo")
        obj = self.world.store.objects[path]
        about = obj["metadata"] | {"annotations": {names.ANNOTATION_EXPIRE: label}}
        self.world.store.put(path, obj | {"metadata": about})

    @property
    def word(self) -> str | None:
        metadata = self.world.store.objects[paths.of("repositories", "ns", "hippo")]["metadata"]
        return (metadata.get("annotations") or {}).get(names.ANNOTATION_EXPIRE)

    def events(self, reason: str) -> list[str]:
        return [one["message"] for one in self.world.store.events if one["reason"] == reason]

    def backup(self, phase: str) -> None:
        path = paths.of("backups", "ns", "nightly")
        about = {"name": "nightly", "namespace": "ns", "creationTimestamp": "2026-11-28T11:59:00Z"}
        spec = {"repository": "hippo", "type": "full"}
        self.world.store.put(path, {"kind": "Backup", "metadata": about, "spec": spec, "status": {"phase": phase}})


@pytest.fixture
def spared(make, monkeypatch) -> Spared:
    found = Spared(make)

    async def items(path: str, params: Any = None):
        for where, obj in list(found.world.store.objects.items()):
            if where.startswith(path + "/"):
                yield obj

    monkeypatch.setattr(found.world.store, "items", items)
    return found


async def test_the_word_is_carried_out_once_and_taken_back(spared: Spared):
    await spared.world.look()
    spared.say(OLD.label)
    for _ in range(3):
        await spared.world.look()
    assert spared.asked == [f"expire?repo=1&set={OLD.label}&archives-of=1"]
    assert spared.word is None
    assert spared.events("SetExpired") == [f"expired {OLD.label}, {DIFF.label}, {INCR.label}, as it was asked for"]
    assert spared.world.status["storages"][0]["backupCount"] == 1
    assert "expirable" not in spared.world.status["storages"][0]
    assert spared.events("ExpiryRefused") == []


async def test_while_an_operation_runs_on_the_stanza_the_word_waits(spared: Spared):
    spared.backup("Running")
    spared.say(OLD.label)
    await spared.world.look()
    assert (spared.asked, spared.word) == ([], OLD.label)
    spared.backup("Completed")
    await spared.world.look()
    assert len(spared.asked) == 1


async def test_a_running_backup_that_the_caches_do_not_show_yet_is_waited_for(spared: Spared):
    await spared.world.look()
    spared.backup("Running")
    spared.say(OLD.label)
    spared.world._seen[paths.of("backups", "ns", "nightly")] = spared.world.store.objects[
        paths.of("backups", "ns", "nightly")
    ]["metadata"]["resourceVersion"]
    await spared.world.look()
    assert (spared.asked, spared.word) == ([], OLD.label)


async def test_a_word_that_cannot_be_carried_out_is_answered_and_taken_back(spared: Spared):
    await spared.world.look()
    spared.say(NEW.label)
    for _ in range(3):
        await spared.world.look()
    assert (spared.asked, spared.word) == ([], None)
    (said,) = spared.events("ExpiryRefused")
    assert "has no later one without errors" in said


@pytest.mark.parametrize(
    "answer", [Outcome(error="[041]: no space"), AgentError("the agent did not answer")], ids=["refused", "silent"]
)
async def test_what_fails_is_told_and_tried_again_at_a_pace(spared: Spared, answer):
    await spared.world.look()
    spared.answer = answer
    spared.say(OLD.label)
    await spared.world.drive(timedelta(minutes=10))
    assert 3 <= len(spared.asked) <= 5
    assert spared.word == OLD.label
    assert all("could not be expired" in one for one in spared.events("ExpiryFailed"))
    spared.answer = Outcome(ok=True, output=OLD.label)
    await spared.world.drive(timedelta(minutes=20))
    assert spared.word is None


async def test_the_volume_of_two_storages_is_the_one_that_is_meant(make, monkeypatch):
    spared = Spared(make, BOTH)

    async def items(path: str, params: Any = None):
        for obj in ():
            yield obj

    monkeypatch.setattr(spared.world.store, "items", items)
    spared.world.secret()
    await spared.world.look()
    await spared.world.look()
    spared.say(OLD.label)
    await spared.world.look()
    assert spared.asked == [f"expire?repo=1&set={OLD.label}&archives-of=1"]


def test_usage_is_as_df_counts_it():
    assert Usage(size=100, used=50, free=40).percent == pytest.approx(55.55, abs=0.01)
    assert Usage(size=0, used=0, free=0).percent is None
    assert Usage().percent is None
