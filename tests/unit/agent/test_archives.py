"""The WAL of a storage listed bit by bit, as `pgbackrest repo-ls` prints it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent import archives
from agent.archives import Archives
from agent.pgbackrest import Result
from pgwarden.pgbackrest import wal
from tests.unit.pgbackrest.test_wal import file

TIME = 1_795_903_873
ROOT = "archive/hippo/17-1"


class Storage:
    """In place of pgBackRest: answers repo-ls and repo-get for the files that there are."""

    def __init__(self, *segments: int, timeline: int = 1) -> None:
        self.files: dict[str, dict[str, int]] = {}
        self.histories: dict[str, str] = {}
        self.asked: list[str] = []
        self.error = ""
        self.put(*segments, timeline=timeline)

    def put(self, *segments: int, timeline: int = 1) -> None:
        for number in segments:
            name = file(timeline, number)
            self.files.setdefault(name[:16], {})[name] = TIME + number

    def take(self, number: int, timeline: int = 1) -> None:
        name = file(timeline, number)
        del self.files[name[:16]][name]

    async def run(self, args: list[str], _seconds: float, _on_line: Any = None, *, keep: int = 0) -> Result:
        command, path = args[-2:]
        assert keep or command
        self.asked.append(path.removeprefix(ROOT).lstrip("/"))
        if self.error:
            return Result(103, "", f"ERROR: [103]: {self.error}", 0)
        if command == "repo-get":
            return Result(0, self.histories[path.rpartition("/")[2]], "", 0)
        if path == ROOT:
            found: dict[str, Any] = {folder: {"type": "path"} for folder in self.files}
            found |= {name: {"type": "file", "size": 64, "time": TIME} for name in self.histories}
        else:
            own = self.files[path.rpartition("/")[2]]
            found = {name: {"type": "file", "size": 1, "time": time} for name, time in own.items()}
        return Result(0, json.dumps({".": {"type": "path"}} | found), "", 0)


def of(storage: Storage, **more: Any) -> Archives:
    return Archives("hippo", storage, lambda: {1: "17-1"}, **more)  # type: ignore[arg-type]


def missing(found: Archives) -> list[tuple[str, int]]:
    return [(gap.missing, gap.segments) for archive in found.told() for gap in archive.gaps]


async def test_a_gap_is_told_when_two_looks_have_found_it_and_no_longer_once_it_is_closed():
    storage = Storage(3, 4, 6, 7)
    found = of(storage)
    await found.look()
    assert missing(found) == []
    await found.look()
    (archive,) = found.told()
    (gap,) = archive.gaps
    assert (gap.missing, gap.segments, gap.next) == (
        wal.name(1, 5, wal.SEGMENT_SIZE),
        1,
        wal.name(1, 6, wal.SEGMENT_SIZE),
    )
    assert gap.until == "2026-11-28T22:11:17Z"
    storage.put(5)
    await found.look()
    assert missing(found) == []


async def test_what_arrives_in_another_order_is_no_gap():
    storage = Storage(3, 4)
    found = of(storage)
    for late, early in ((5, 6), (7, 8), (9, 10)):
        storage.put(early)
        await found.look()
        storage.put(late)
        assert missing(found) == []


async def test_the_newest_folder_is_listed_at_each_look_and_an_old_one_in_its_turn():
    storage = Storage(*range(256 * 12))
    now = 0.0
    found = of(storage, clock=lambda: now)
    await found.look()
    assert len(storage.asked) == 13
    turns = []
    for now in range(60, 60 * 5, 60):  # noqa: B007  the clock's
        storage.asked.clear()
        await found.look()
        assert storage.asked[:2] == ["", "000000010000000B"]
        turns += storage.asked[2:]
        assert len(storage.asked) == 2 + archives.AGAIN
    assert set(turns) == {f"00000001{number:08X}" for number in range(11)}


async def test_a_folder_that_is_no_longer_the_newest_has_got_its_last_segments_since():
    """Seen after a Restore: the old server's last segment came after the look, and folders are listed in turn."""
    storage = Storage(*range(256 * 12 - 2))
    now = 0.0
    found = of(storage, clock=lambda: now)
    await found.look()
    storage.put(*range(256 * 12 - 2, 256 * 12 + 3))
    for now in range(60, 60 * 6, 60):  # noqa: B007  the clock's
        await found.look()
        assert missing(found) == []


async def test_the_last_segments_of_an_earlier_timeline_are_no_gap():
    storage = Storage(*range(10))
    for timeline in range(2, 12):
        storage.put(*range(timeline * 5, timeline * 5 + 4), timeline=timeline)
        storage.histories[f"{timeline:08X}.history"] = "".join(
            f"{before}\t0/{(before + 1) * 5:02X}000000\tno recovery target specified\n" for before in range(1, timeline)
        )
    now = 0.0
    found = of(storage, clock=lambda: now)
    await found.look()
    await found.look()
    told = len(missing(found))
    storage.put(59, timeline=11)
    storage.put(*range(60, 64), timeline=12)
    storage.histories["0000000C.history"] = storage.histories["0000000B.history"] + "11\t0/3C000000\tx\n"
    for now in range(60, 60 * 6, 60):  # noqa: B007  the clock's
        await found.look()
        assert len(missing(found)) == told, missing(found)


async def test_what_somebody_deletes_in_an_old_folder_is_found():
    storage = Storage(*range(256 * 12))
    now = 0.0
    found = of(storage, clock=lambda: now)
    await found.look()
    storage.take(300)
    for now in range(60, 60 * 8, 60):  # noqa: B007  the clock's
        await found.look()
    assert missing(found) == [("00000001000000010000002C", 1)]


async def test_a_hundred_thousand_segments_are_a_range_for_each_folder():
    storage = Storage(*range(100_000))
    found = of(storage)
    await found.look()
    known = found._known[1]
    assert known.complete
    assert sum(len(runs) for runs in known.runs.values()) == len(storage.files) == 391


async def test_nothing_is_judged_before_all_is_listed():
    storage = Storage(*range(256), *range(600, 1100))
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += archives.BUDGET_SECONDS
        return now

    found = of(storage, clock=clock)
    await found.look()
    assert [one.complete for one in found.told()] == [False]
    for _ in range(4):
        await found.look()
    assert [one.complete for one in found.told()] == [True]
    assert missing(found) == [("000000010000000100000000", 344)]


async def test_over_a_failover_the_history_says_what_counts():
    storage = Storage(3, 4, 5, 6, 7)
    storage.put(6, 7, timeline=2)
    storage.histories["00000002.history"] = "1\t0/60000A0\tno recovery target specified\n"
    storage.take(5)
    found = of(storage)
    await found.look()
    await found.look()
    assert missing(found) == [("000000010000000000000005", 1)]
    assert storage.asked.count("00000002.history") == 1


async def test_a_storage_that_cannot_be_listed_keeps_what_was_known():
    storage = Storage(3, 5)
    found = of(storage)
    await found.look()
    await found.look()
    storage.error = "unable to connect"
    await found.look()
    assert missing(found) == [("000000010000000000000004", 1)]


async def test_what_expires_is_no_gap():
    storage = Storage(*range(600))
    found = of(storage)
    await found.look()
    del storage.files["0000000100000000"]
    for number in range(256, 300):
        storage.take(number)
    for _ in range(3):
        await found.look()
    assert missing(found) == []
    assert [one.complete for one in found.told()] == [True]


@pytest.mark.parametrize("count", [0, 1, 60])
async def test_the_newest_gaps_are_told(count):
    storage = Storage(*(2 * number for number in range(count + 1)))
    found = of(storage)
    await found.look()
    await found.look()
    told = missing(found)
    assert len(told) == min(count, 10)
    assert not told or told[-1][0] == wal.name(1, 2 * count - 1, wal.SEGMENT_SIZE)
