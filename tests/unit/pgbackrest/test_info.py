"""What `pgbackrest info` says. data/info-2.60.json is what pgBackRest 2.60 printed of a full and an incremental backup."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pgwarden.pgbackrest import info

REAL = (Path(__file__).parent / "data" / "info-2.60.json").read_text(encoding="utf-8")
#: Also printed by 2.60: before stanza-create.
NO_STANZA = (
    '[{"archive":[],"backup":[],"cipher":"none","db":[],"name":"hippo","repo":[{"cipher":"none","key":1,'
    '"status":{"code":1,"message":"missing stanza path"}}],"status":{"code":1,"lock":{"backup":{"held":false},'
    '"restore":{"held":false}},"message":"missing stanza path"}}]'
)
FULL, INCR = "20261123-180759F", "20261123-180759F_20261123-180802I"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def changed(change) -> info.Info:
    document = json.loads(REAL)
    change(document[0])
    return info.parse_info(document, "hippo")


def test_a_real_answer_is_read_in_full():
    found = info.parse_info(REAL, "hippo")
    assert (found.stanza, found.code, found.message) == ("hippo", info.OK, "ok")
    assert (found.system_id, found.version) == ("7711430294125437854", "17")
    assert found.repos == (info.RepoStatus(repo=1, code=0, message="ok", cipher="aes-256-cbc"),)
    assert found.archive(1) == info.Archive(
        repo=1, database_id=1, id="17-1", min="000000010000000000000001", max="000000010000000000000006"
    )
    assert found.backups[1] == info.BackupSet(
        label=INCR,
        type="incr",
        repo=1,
        database_id=1,
        start=moment("2026-11-23 18:08:02"),
        stop=moment("2026-11-23 18:08:03"),
        database_size=23487608,
        database_delta=1532162,
        repository_delta=32816,
        prior=FULL,
        references=(FULL,),
        wal_start="000000010000000000000005",
        wal_stop="000000010000000000000005",
        lsn_start="0/5000028",
        lsn_stop="0/5000120",
        annotations={"pgwarden-uid": "7a2e4d10-5b6c-4f7a-8e9d-1c2b3a4d5e6f"},
        error=False,
    )


def test_a_set_is_found_by_its_label_and_by_the_mark_of_its_backup_object():
    found = info.parse_info(REAL, "hippo")
    assert found.backup(FULL).type == "full"
    assert found.backup(FULL, repo=2) is None
    assert found.annotated("pgwarden-uid", "4f1c2b9e-0c1d-4e57-9a0e-3f6d1a2b3c4d").label == FULL
    assert found.annotated("pgwarden-uid", "nobody") is None


def test_a_repository_before_its_stanza_is_there_is_empty_and_says_why():
    found = info.parse_info(NO_STANZA, "hippo")
    assert (found.code, found.message) == (info.MISSING_PATH, "missing stanza path")
    assert (found.system_id, found.version, found.backups, found.archive(1)) == ("", "", (), None)
    assert info.recovery_window(found) == {}


@pytest.mark.parametrize("text", ["[]", REAL], ids=["nothing", "another"])
def test_another_stanza_is_none(text):
    assert info.parse_info(text, "zebra") is None


GARBAGE = [
    "",
    "ERROR: [055]",
    "{}",
    "5",
    "null",
    "[1]",
    '[{"name":"hippo"}]',
    '[{"name":"hippo","status":{"code":"x"}}]',
]


@pytest.mark.parametrize("text", GARBAGE, ids=GARBAGE)
def test_what_is_no_answer_is_one_kind_of_error(text):
    if text == "{}":  # an object without entries has no such stanza
        assert info.parse_info(text, "hippo") is None
        return
    with pytest.raises(info.InfoError, match="not the output of pgbackrest info"):
        info.parse_info(text, "hippo")


def test_the_window_begins_with_the_end_of_the_oldest_backup():
    assert info.recovery_window(info.parse_info(REAL, "hippo")) == {1: moment("2026-11-23 18:08:01")}


def _page_error(entry):
    entry["backup"][0]["error"] = True


def _wal_gone(entry):
    entry["archive"][0]["min"] = "000000020000000000000004"  # another timeline: only the position counts


def _no_wal(entry):
    entry["archive"][0] |= {"min": None, "max": None}


def _other_cluster(entry):
    entry["db"].append(entry["db"][0] | {"id": 2, "system-id": 1})
    entry["archive"].append({"database": {"id": 2, "repo-key": 1}, "id": "17-2", "max": None, "min": None})


UNUSABLE = [
    ("pages with errors", _page_error, {1: moment("2026-11-23 18:08:03")}),
    ("its WAL has expired", _wal_gone, {1: moment("2026-11-23 18:08:03")}),
    ("no WAL at all", _no_wal, {}),
    ("of a cluster from before", _other_cluster, {}),
]


@pytest.mark.parametrize(("change", "window"), [row[1:] for row in UNUSABLE], ids=[row[0] for row in UNUSABLE])
def test_a_backup_that_cannot_be_rolled_forward_opens_no_window(change, window):
    assert info.recovery_window(changed(change)) == window


def test_each_repository_has_a_window_of_its_own():
    def second(entry):
        newer = copy.deepcopy(entry["backup"][1])
        newer["database"]["repo-key"] = 2
        entry["backup"].append(newer)
        entry["db"].append(entry["db"][0] | {"repo-key": 2})
        entry["archive"].append(entry["archive"][0] | {"database": {"id": 1, "repo-key": 2}})
        entry["repo"].append(entry["repo"][0] | {"key": 2})

    assert info.recovery_window(changed(second)) == {
        1: moment("2026-11-23 18:08:01"),
        2: moment("2026-11-23 18:08:03"),
    }


def test_a_running_backup_is_seen():
    def running(entry):
        entry["status"]["lock"]["backup"] = {"held": True, "size": 100, "size-cplt": 5}

    found = changed(running)
    assert (found.backup_running, found.restore_running) == (True, False)


def test_a_set_of_an_old_release_has_no_positions_and_no_marks():
    def old(entry):
        for key in ("lsn", "annotation", "error"):
            del entry["backup"][0][key]
        entry["backup"][0]["archive"] = {"start": None, "stop": None}

    oldest = changed(old).backups[0]
    assert (oldest.lsn_stop, oldest.annotations, oldest.error, oldest.wal_start) == ("", {}, False, "")
