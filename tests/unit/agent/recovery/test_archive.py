"""What the archive is asked, with several storages."""

from __future__ import annotations

import json

import pytest

from agent.pgbackrest import Result
from agent.recovery.archive import Archive, ArchiveError, Place, folders_from
from pgwarden.pgbackrest.wal import SEGMENT_SIZE, Segment

PLACES = [Place(1, "17-1"), Place(2, "17-1")]


class FakeRunner:
    """Answers by the last words of a command line; *dead* storages do not answer."""

    def __init__(self, lists=None, info=None, dead=()):
        self.lists, self.info, self.dead, self.asked = lists or {}, info, dead, []

    async def run(self, args, _seconds):
        self.asked.append(args)
        if "info" in args:
            return Result(0, json.dumps(self.info), "", 0)
        repo = next(int(arg[7:]) for arg in args if arg.startswith("--repo="))
        if repo in self.dead:
            return Result(49, "", "ERROR: [049]: unable to connect", 0)
        return Result(0, "\n".join(self.lists.get(args[-1], [])), "", 0)


SUM = "0123456789abcdef0123456789abcdef01234567"
LISTS = {
    "archive/hippo/17-1": ["0000000100000000", "0000000200000000", "0000000200000001", "00000002.history"],
    "archive/hippo/17-1/0000000200000000": [
        f"000000020000000000000007-{SUM}.zst", f"000000020000000000000009-{SUM}.zst", "x",
        f"00000002000000000000000A-{SUM}.zst.pgbackrest.tmp", f"00000002000000000000000B.partial-{SUM}.zst",
    ],
    "archive/hippo/17-1/0000000200000001": [f"000000020000000100000000-{SUM}.zst"],
    "archive/hippo/17-1/0000000100000000": [f"000000010000000000000005-{SUM}.zst"],
}  # fmt: skip


async def look(runner, tmp_path, chosen=None):
    archive = Archive(runner, "hippo", tmp_path, chosen=chosen)
    return await archive.look(PLACES, Segment(2, 8), SEGMENT_SIZE)


async def test_what_there_is_from_a_segment_on(tmp_path):
    found = await look(FakeRunner(LISTS), tmp_path)
    assert (found.segments, found.timelines) == ({Segment(2, 9), Segment(2, 256)}, {2})
    assert found.partial == {Segment(2, 11)}


async def test_what_a_push_that_was_killed_has_left_is_no_segment(tmp_path):
    """`SEGMENT-SHA1.zst.pgbackrest.tmp`: a primary that is killed while it archives leaves one."""
    assert Segment(2, 10) not in (await look(FakeRunner(LISTS), tmp_path)).segments


async def test_a_storage_that_does_not_answer_is_passed_over(tmp_path):
    assert (await look(FakeRunner(LISTS, dead=(2,)), tmp_path, chosen=1)).segments


@pytest.mark.parametrize(("dead", "chosen"), [((2,), 2), ((1, 2), None)], ids=["the chosen one", "all of them"])
async def test_without_the_storage_that_counts_nothing_is_said(tmp_path, dead, chosen):
    with pytest.raises(ArchiveError, match="unable to connect"):
        await look(FakeRunner(LISTS, dead=dead), tmp_path, chosen)


async def test_only_wal_of_the_same_cluster_counts(tmp_path):
    def base(number, system):
        return {"id": number, "repo-key": 1, "system-id": system, "version": "17"}

    def archive(number):
        return {"id": f"17-{number}", "database": {"id": number, "repo-key": 1}, "min": "", "max": "a"}

    repo = {"key": 1, "cipher": "none", "status": {"code": 0, "message": "ok"}}
    info = [{
        "name": "hippo", "status": {"code": 0, "message": "ok"}, "backup": [], "repo": [repo],
        "db": [base(1, 111), base(2, 222)], "archive": [archive(1), archive(2)],
    }]  # fmt: skip
    found = await Archive(FakeRunner(info=info), "hippo", tmp_path).places("222")
    assert found == [Place(1, "17-2", "a")]


def test_of_each_timeline_two_folders_are_enough():
    names = ["0000000100000001", "0000000100000002", "0000000100000003", "0000000200000003", "0000000100000000", "x"]
    assert folders_from(names, 1) == ["0000000100000001", "0000000100000002", "0000000200000003"]
