"""When WAL came last: what `info` and `repo-ls` print, read by the agent of the repository host."""

from __future__ import annotations

import json

import pytest

from agent import newest_wal
from pgwarden.contract.calls import NewestWal

ARCHIVE = {"database": {"id": 1, "repo-key": 1}, "id": "18-1", "min": "0" * 24, "max": "0000000200000003000000AB"}
OLD, NEW = {"type": "file", "size": 2, "time": 1795903491}, {"type": "file", "size": 2, "time": 1795903551}
LISTED = {".": {"type": "path"}, f"{'0' * 24}-abc.zst": OLD, "0000000200000003000000AB-def.zst": NEW}


def test_the_last_folder_of_each_archive_is_looked_at():
    second = ARCHIVE | {"database": {"id": 1, "repo-key": 2}, "max": None}
    third = ARCHIVE | {"database": {"id": 2, "repo-key": 2}, "id": "9.6-2"}
    found = list(newest_wal.folders({"archive": [ARCHIVE, second, third]}, "hippo"))
    folder = "0000000200000003"
    assert found == [(1, f"archive/hippo/18-1/{folder}"), (2, f"archive/hippo/9.6-2/{folder}")]
    assert list(newest_wal.folders({}, "hippo")) == []


@pytest.mark.parametrize("odd", [{"id": "../../x"}, {"max": "x"}, {"database": None}], ids=str)
def test_what_is_no_archive_is_no_path(odd):
    with pytest.raises(ValueError, match="archive"):
        list(newest_wal.folders({"archive": [ARCHIVE | odd]}, "hippo"))


def test_the_newest_file_counts_whatever_its_name():
    assert newest_wal.of(json.dumps(LISTED)) == NewestWal(
        ok=True, wal="0000000200000003000000AB", time="2026-11-28T22:05:51Z"
    )
    assert newest_wal.of("{}") == NewestWal(ok=True)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"a": {"type": "file", "time": 1e40}', json.dumps({"a": OLD | {"time": 10**18}})]
)
def test_what_is_no_listing_is_said(text):
    with pytest.raises(ValueError, match=r"read|calendar"):
        newest_wal.of(text)
