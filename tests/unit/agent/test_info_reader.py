"""How often `info` is read, and what is answered meanwhile, in virtual time: slow is not away."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from agent.info_reader import PAST_SECONDS, InfoReader, Known, PastInfo
from tests.unit.virtual_time import run

GOOD = json.dumps([{"name": "hippo", "repo": []}])


class Storage:
    """`pgbackrest info`, which takes *takes* seconds and fails where *error* is set."""

    def __init__(self, takes: float) -> None:
        self.takes, self.error, self.begun = takes, "", []

    async def run(self, _argv: list[str], _limit: float) -> Any:
        loop = asyncio.get_running_loop()
        self.begun.append(loop.time())
        await asyncio.sleep(self.takes)
        return SimpleNamespace(ok=not self.error, stdout=GOOD, error=self.error)


async def look_each(reader: InfoReader, seconds: float, pause: float = 15) -> list[Known]:
    """As the controller does: *pause* after each answer."""
    found, loop = [], asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        found.append(await reader.get(refresh=True))
        await asyncio.sleep(pause)
    return found


def looks(takes: float, seconds: float) -> tuple[Storage, list[Known]]:
    storage = Storage(takes)
    return storage, run(look_each(InfoReader("hippo", storage), seconds))


@pytest.mark.parametrize("takes", [12, 24, 29, 100])
def test_a_slow_storage_is_told_by_its_last_answer_and_read_less_often(takes: float):
    storage, found = looks(takes, 1200)
    first = next(number for number, known in enumerate(found) if known.info is not None)
    assert all(known.error for known in found[:first])
    assert not [known.error for known in found[first:] if known.error]
    assert max(known.age for known in found[first:]) <= takes + min(2 * takes, 60) + 25
    pauses = [later - earlier - takes for earlier, later in zip(storage.begun, storage.begun[1:], strict=False)]
    assert min(pauses) >= min(2 * takes, 60)


def test_a_quick_storage_is_read_at_each_look():
    storage, found = looks(0.5, 300)
    assert len(storage.begun) == len(found)
    assert {known.error for known in found} == {""}
    assert max(known.age for known in found) == 0


def test_a_storage_that_becomes_slow_does_not_turn_to_away():
    async def scene() -> list[Known]:
        storage = Storage(1)
        reader = InfoReader("hippo", storage)
        found = await look_each(reader, 60)
        storage.takes = 25
        return found + await look_each(reader, 1200)

    assert {known.error for known in run(scene())} == {""}


def test_a_storage_that_stands_still_is_told_within_45_seconds():
    async def scene() -> float:
        storage = Storage(1)
        reader = InfoReader("hippo", storage)
        await look_each(reader, 60)
        storage.takes = 10_000
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(20):
            if (await reader.get(refresh=True)).error:
                return loop.time() - began + 15
            await asyncio.sleep(15)
        raise AssertionError("never told")

    assert run(scene()) <= 45


def test_what_pgbackrest_says_is_told_at_once_and_asked_again_at_each_look():
    async def scene() -> list[Known]:
        storage = Storage(24)
        reader = InfoReader("hippo", storage)
        await look_each(reader, 120)
        storage.takes, storage.error = 1, "[HostConnectError] refused"
        found = await look_each(reader, 120)
        storage.error = ""
        return [*found[-2:], await reader.get(refresh=True)]

    assert [known.error for known in run(scene())] == ["[HostConnectError] refused"] * 2 + [""]


def test_after_a_stanza_was_made_even_a_slow_storage_is_read_anew():
    async def scene() -> int:
        storage = Storage(24)
        reader = InfoReader("hippo", storage)
        await look_each(reader, 40, pause=1)
        before = len(storage.begun)
        reader.spoil()
        await reader.get(refresh=True)
        return len(storage.begun) - before

    assert run(scene()) == 1


def test_while_a_read_stands_still_what_is_told_of_it_changes_in_few_steps():
    """Each other text would be a status to write."""
    _, found = looks(10_000, 290)
    told = list(dict.fromkeys(known.error for known in found))
    assert told == [f"pgbackrest info takes longer than {step} s" for step in (10, 30, 60, 120, 240)]


async def ask_past(past: PastInfo, *pauses: float) -> list[Any]:
    found = []
    for pause in pauses:
        await asyncio.sleep(pause)
        found.append(await past.get(2, "2026-11-23T09:00:00Z"))
    return found


def test_what_a_storage_held_is_read_once_a_minute():
    storage = Storage(5)
    found = run(ask_past(PastInfo("hippo", storage), 0, 1, PAST_SECONDS))
    assert [one.info for one in found] == [json.loads(GOOD)[0]] * 3
    assert storage.begun == [storage.begun[0], storage.begun[0] + 6 + PAST_SECONDS]


def test_what_could_not_be_read_of_the_past_is_asked_again():
    storage = Storage(5)
    storage.error = "403 (Forbidden)"
    found = run(ask_past(PastInfo("hippo", storage), 0, 1))
    assert [(one.ok, one.error) for one in found] == [(False, "403 (Forbidden)")] * 2
    assert len(storage.begun) == 2
