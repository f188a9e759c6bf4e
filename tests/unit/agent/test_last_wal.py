"""What a dead PostgreSQL has left in pg_wal is archived: what waits, and the segment that was being written."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent import last_wal

SIZE = 16 * 1024 * 1024


class Pushes:
    """Stands for pgBackRest: notes what is pushed, and refuses from *refuse* on."""

    def __init__(self, refuse: str = "") -> None:
        self.refuse = refuse
        self.files: list[str] = []

    async def run(self, argv, _seconds):
        name = Path(argv[-1]).name
        assert Path(argv[-1]).exists()  # noqa: ASYNC240
        if name == self.refuse:
            return SimpleNamespace(ok=False, error="no answer")
        self.files.append(name)
        return SimpleNamespace(ok=True, error="")


def segment(number: int, timeline: int = 1) -> str:
    return f"{timeline:08X}{number // 256:08X}{number % 256:08X}"


@pytest.fixture
def pg_wal(tmp_path):
    """Segments 5 and 6 were archived, 7 waits, 8 was being written, 9 and 10 are old ones kept for later use."""
    folder = tmp_path / "pg_wal"
    (folder / "archive_status").mkdir(parents=True)
    for number, content in ((5, 5), (6, 6), (7, 7), (8, 8), (9, 3), (10, 4)):
        head = struct.pack("<HHIQIxxxxQI", 0xD116, 2, 1, content * SIZE, 0, 7, SIZE)
        (folder / segment(number)).write_bytes(head + b"x" * 100)
    for number, state in ((5, "done"), (6, "done"), (7, "ready")):
        (folder / "archive_status" / f"{segment(number)}.{state}").touch()
    return folder


async def pushed(pg_wal: Path, pushes: Pushes) -> last_wal.Pushed:
    work = pg_wal.parent / "work"
    work.mkdir(exist_ok=True)
    found = await last_wal.push(pushes, "hippo", pg_wal, Path("/conf"), work, 60)  # type: ignore[arg-type]
    assert list(work.iterdir()) == []
    return found


async def test_what_waits_is_archived_and_then_the_one_that_was_being_written_as_partial(pg_wal):
    pushes = Pushes()
    before = sorted(pg_wal.iterdir())
    assert await pushed(pg_wal, pushes) == last_wal.Pushed(segment(8))
    assert pushes.files == [segment(7), f"{segment(8)}.partial"]
    assert sorted(pg_wal.iterdir()) == before


async def test_a_history_goes_before_its_timeline(pg_wal):
    (pg_wal / "archive_status" / "00000001.history.ready").touch()
    (pg_wal / "00000001.history").touch()
    pushes = Pushes()
    await pushed(pg_wal, pushes)
    assert pushes.files[:2] == ["00000001.history", segment(7)]


async def test_one_that_was_full_is_not_archived_again_as_partial(pg_wal):
    (pg_wal / "archive_status" / f"{segment(8)}.done").touch()
    pushes = Pushes()
    assert await pushed(pg_wal, pushes) == last_wal.Pushed(segment(8))
    assert pushes.files == [segment(7)]


@pytest.mark.parametrize(
    ("refused", "last"), [(segment(7), ""), (f"{segment(8)}.partial", segment(7))], ids=["the first", "the last"]
)
async def test_what_is_refused_is_told_with_how_far_it_came(pg_wal, refused, last):
    assert await pushed(pg_wal, Pushes(refused)) == last_wal.Pushed(last, "no answer")


@pytest.mark.parametrize("head", [b"", b"\0" * 64, b"short"], ids=["empty", "zeros", "cut"])
async def test_a_segment_without_a_readable_head_is_none(pg_wal, head):
    (pg_wal / segment(8)).write_bytes(head)
    assert last_wal.newest_segment(pg_wal) == segment(7)


async def test_a_pg_wal_that_cannot_be_seen_is_told(tmp_path):
    (tmp_path / "pg_wal").mkdir()
    found = await pushed(tmp_path / "pg_wal", Pushes())
    assert "cannot be read" in found.error


def test_what_is_no_file_is_no_segment_and_holds_up_nobody(pg_wal):
    before = last_wal.written(pg_wal)
    os.mkfifo(pg_wal / segment(98))
    (pg_wal / segment(99)).symlink_to(pg_wal / segment(8))
    assert last_wal.written(pg_wal) == before
