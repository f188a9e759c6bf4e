"""WAL that nobody would archive: what a former primary has left, and what lost its note."""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path

import pytest

from agent.missed_wal import Local, MissedWal, owed
from agent.paths import Paths
from agent.pgbackrest import Result
from agent.postgres import Control
from agent.recovery.archive import ArchiveError
from pgwarden.pgbackrest.wal import SEGMENT_SIZE as SIZE
from pgwarden.pgbackrest.wal import Ancestor, Segment

#: Timeline 2 begins within segment 8, timeline 3 within segment 11.
ANCESTORS = (Ancestor(1, 8 * SIZE + 100), Ancestor(2, 11 * SIZE + 100))
SUM = "0123456789abcdef0123456789abcdef01234567"


def name(timeline: int, number: int) -> str:
    return Segment(timeline, number).name()


@pytest.mark.parametrize(
    ("written", "archived", "wanted"),
    [
        ([(2, 9), (2, 10)], [(2, 9)], [(2, 10)]),
        ([(2, 10), (1, 7), (2, 9)], [], [(1, 7), (2, 9), (2, 10)]),
        ([(2, 9)], [(1, 9)], [(2, 9)]),
        ([(2, 8), (2, 9)], [(2, 9)], [(2, 8)]),
        ([(1, 8), (2, 11)], [], []),
        ([(1, 9), (2, 12)], [], []),
        ([(3, 11), (3, 12), (3, 13)], [(3, 11)], [(3, 12)]),
        ([(3, 13), (3, 14)], [], []),
        ([(2, 10)], [(2, 10)], []),
        ([(2, 7), (4, 14)], [], []),
    ],
    ids=[
        "the last one", "of two timelines, oldest first", "the same number of another timeline is another segment",
        "the one in which its timeline begins", "the one in which its timeline ends is there of the younger one",
        "what nobody reads after a switch", "of its own timeline, but for the one that is written",
        "what is not written yet", "all are there", "of no ancestor",
    ],
)  # fmt: skip
def test_owed_is_what_recovery_reads_and_the_archive_has_not(written, archived, wanted):
    local = Local(Segment(3, 13), ANCESTORS, tuple(Segment(*one) for one in written))
    assert owed(local, [Segment(*one) for one in archived], SIZE) == [Segment(*one) for one in wanted]


def test_a_timeline_that_ends_at_a_segments_end_is_owed_to_its_last_segment():
    local = Local(Segment(2, 9), (Ancestor(1, 9 * SIZE),), (Segment(1, 8), Segment(2, 9)))
    assert owed(local, [], SIZE) == [Segment(1, 8)]


def test_what_postgresql_will_archive_is_not_owed():
    local = Local(Segment(1, 9), (), (Segment(1, 7), Segment(1, 8)), frozenset({Segment(1, 8)}))
    assert owed(local, [], SIZE) == [Segment(1, 7)]


# --- with a data directory and an archive ------------------------------------------------------------------------


class World:
    """A primary on timeline 2, which began within segment 8 (of 16 MiB) and writes 9. It has streamed 6 and 7."""

    def __init__(self, root: Path) -> None:
        self.data, self.paths = root / "data", Paths.below(root)
        (self.data / "pg_wal" / "archive_status").mkdir(parents=True)
        (self.data / "pg_wal" / "00000002.history").write_text(f"1\t0/{8 * SIZE + 100:X}\tno recovery target\n")
        for timeline, number in ((1, 6), (1, 7), (2, 8), (2, 9)):
            self.write(timeline, number)
        self.start()
        self.note(1, 6, "done")
        self.note(1, 7, "done")
        self.note(2, 8, "ready")
        self.control = Control(in_recovery=False, system_identifier="7", segment_size=SIZE, wal=name(2, 9))
        self.archive = [f"{name(1, 5)}-{SUM}.zst", f"{name(1, 6)}-{SUM}.zst"]
        self.pushed: list[str] = []
        self.refuses, self.takes, self.asked = "", True, 0
        self.missed = MissedWal(self, self, "hippo", self.paths)  # type: ignore[arg-type]

    def write(self, timeline: int, number: int) -> None:
        head = struct.pack("<HHIQIxxxxQI", 0xD116, 2, timeline, number * SIZE, 0, 7, SIZE)
        (self.data / "pg_wal" / name(timeline, number)).write_bytes(head + b"x" * 100)

    def note(self, timeline: int, number: int, state: str) -> None:
        (self.data / "pg_wal" / "archive_status" / f"{name(timeline, number)}.{state}").touch()

    def start(self, second: int = 1) -> None:
        (self.data / "postmaster.pid").write_text(f"23\n{self.data}\n{second}\n")

    # As Postgres and as Runner.

    @property
    def data_directory(self) -> str:
        return str(self.data)

    async def control_now(self) -> Control:
        self.asked += 1
        return self._control

    @property
    def control(self):
        return self.control_now

    @control.setter
    def control(self, value: Control) -> None:
        self._control = value

    async def run(self, args, _seconds):
        await asyncio.sleep(0)
        if "info" in args:
            return Result(0, json.dumps([self._info()]), "", 0)
        if "archive-push" in args:
            file = Path(args[-1]).name
            if self.takes:
                self.archive.append(f"{file}-{SUM}.zst")
            if self.refuses:
                return Result(1, "", self.refuses, 0)
            self.pushed.append(file)
            return Result(0, "", "", 0)
        timelines = {one[:8] for one in self.archive}
        folder = args[-1].rpartition("/")[2]
        listed = [one for one in self.archive if one.startswith(folder)] if len(folder) == 16 else []
        return Result(0, "\n".join(listed or [f"{one}00000000" for one in timelines]), "", 0)

    def _info(self):
        well, first = {"code": 0, "message": "ok"}, min(self.archive)[:24] if self.archive else ""
        return {
            "name": "hippo", "status": well, "backup": [], "repo": [{"key": 1, "cipher": "none", "status": well}],
            "db": [{"id": 1, "repo-key": 1, "system-id": 7, "version": "17"}],
            "archive": [{"id": "17-1", "database": {"id": 1, "repo-key": 1}, "min": first, "max": first}],
        }  # fmt: skip


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def test_what_a_former_primary_had_not_archived_is_archived_once(world):
    await world.missed.look()
    await world.missed.look()
    assert (world.pushed, world.asked) == ([name(1, 7)], 1)


async def test_a_push_that_was_killed_halfway_has_archived_nothing(world):
    world.archive.append(f"{name(1, 7)}-{SUM}.zst.pgbackrest.tmp")
    await world.missed.look()
    assert world.pushed == [name(1, 7)]


async def test_a_standby_archives_nothing_until_it_is_promoted(world):
    (world.data / "standby.signal").touch()
    await world.missed.look()
    (world.data / "standby.signal").unlink()
    now = world._control
    world.control = now._replace(in_recovery=True, wal="")
    await world.missed.look()
    assert world.pushed == []
    world.control = now
    await world.missed.look()
    assert world.pushed == [name(1, 7)]


async def test_it_is_looked_at_again_when_postgresql_was_started(world):
    """Patroni's crash recovery has emptied archive_status meanwhile."""
    await world.missed.look()
    (world.data / "pg_wal" / "archive_status" / f"{name(2, 8)}.ready").unlink()
    await world.missed.look()
    assert world.pushed == [name(1, 7)]
    world.start(2)
    await world.missed.look()
    assert world.pushed == [name(1, 7), name(2, 8)]


async def test_what_cannot_be_archived_is_tried_again_and_holds_up_a_fence(world):
    world.refuses, world.takes = "ERROR: [082]: no answer", False
    with pytest.raises(ArchiveError, match=f"{name(1, 7)}: ERROR: .082.: no answer"):
        await world.missed.look()
    assert "no answer" in await world.missed.lacks(0, 5)
    world.refuses, world.takes = "", True
    assert await world.missed.lacks(0, 5) == ""
    assert world.pushed == [name(1, 7)]


async def test_another_storage_that_refuses_it_is_no_hindrance_to_the_one_that_has_it(world):
    world.refuses = "ERROR: [049]: repo2: unable to connect"
    assert await world.missed.lacks(1, 5) == ""


async def test_what_has_expired_is_not_archived_again(world):
    world.archive = [f"{name(2, 8)}-{SUM}.zst"]
    await world.missed.look()
    assert world.pushed == []


async def test_nothing_is_missing_in_an_archive_that_has_nothing_yet(world):
    world.archive = []
    await world.missed.look()
    assert world.pushed == []


async def test_what_the_archive_has_lost_is_archived_again_as_far_as_it_is_complete_here(world):
    asked = [name(1, 6), name(1, 99), name(2, 8), name(2, 9)]
    assert (await world.missed.bring_back(asked)).output == f"{name(1, 6)}, {name(2, 8)}"
    assert world.pushed == [name(1, 6), name(2, 8)]


async def test_a_standby_gives_what_it_has_noted_and_not_what_it_still_receives(world):
    (world.data / "standby.signal").touch()
    (world.data / "pg_wal" / name(2, 9)).unlink()
    (world.data / "pg_wal" / "archive_status" / f"{name(2, 8)}.ready").unlink()
    assert (await world.missed.bring_back([name(1, 7), name(2, 8)])).output == name(1, 7)


async def test_what_cannot_be_archived_again_is_told(world):
    world.refuses, world.takes = "ERROR: [082]: no answer", False
    answer = await world.missed.bring_back([name(1, 6)])
    assert (answer.ok, answer.output) == (False, "")
    assert "no answer" in answer.error
