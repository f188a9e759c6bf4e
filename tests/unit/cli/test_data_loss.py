"""What a restore takes away, as the prompt says it: every line must be true."""

import copy
from datetime import timedelta

import pytest

from pgwarden.cli import data_loss
from tests.unit.cli.conftest import NOW

TARGETS = {
    "a moment": (
        {"target": {"time": "2026-11-23 10:00:00+00"}},
        [
            "of Repository hippo (pod hippo-0) to 2026-11-23 10:00:00Z",
            "committed after 2026-11-23 10:00:00Z, that is in the last 2 h",
            "_20261105-000000D",
        ],
    ),
    "a moment before the diff": ({"target": {"time": "2026-11-03T00:00:00Z"}}, ["backup 20261101-000000F (full"]),
    "a WAL position": ({"target": {"lsn": "0/4000000"}}, ["WAL position 0/4000000", "backup 20261101-000000F (full"]),
    "the latest": ({}, ["to the latest WAL", "only transactions that cannot be archived before PostgreSQL stops"]),
    "without keeping": ({"keepOldVolume": False}, ["DELETED once the restore has succeeded"]),
    "kept": ({}, ["kept in a claim that status.keptClaim of Restore rewind will name"]),
}


@pytest.mark.parametrize(("spec", "said"), TARGETS.values(), ids=TARGETS)
def test_what_a_restore_takes_away_is_said_before(make, healthy, spec, said):
    restore = make("Restore", "rewind", repository="hippo", **spec)
    text = "\n".join(data_loss.of_restore(restore, make("Repository", "hippo", status=healthy), NOW))
    assert [part for part in said if part not in text] == []
    assert "(pod hippo-0)" in text


def test_lost_time_grows(make, healthy):
    restore = make("Restore", "rewind", repository="hippo", target={"time": "2026-11-23T10:00:00Z"})
    repository = make("Repository", "hippo", status=copy.deepcopy(healthy))
    later = "\n".join(data_loss.of_restore(restore, repository, NOW + timedelta(days=1)))
    assert "that is in the last 1 d 2 h" in later


def timelines(healthy, kind, last):
    """A Repository whose newest set is of timeline 1, and whose WAL has come to timeline *last*."""
    status = copy.deepcopy(healthy)
    for one in status["backups"]:
        one["walStop"] = "000000010000000000000004"
    status["storages"][0] |= {"lastWal": f"0000000{last}0000000000000009"}
    return {"metadata": {"name": "hippo"}, "kind": kind, "status": status, "spec": {}}


UNDONE = {
    "the set's own, which has ended": ("current", 2, "every transaction committed since timeline 1 ended"),
    "one by its number, which has ended": (
        "1",
        3,
        "since timeline 1 ended, at a restore or failover (PostgreSQL is on timeline 3)",
    ),
    "the one that PostgreSQL is on": ("current", 1, "only transactions that cannot be archived"),
    "the latest": ("latest", 2, "only transactions that cannot be archived"),
}


@pytest.mark.parametrize(("timeline", "last", "said"), UNDONE.values(), ids=UNDONE)
def test_going_back_to_another_timeline_loses_all_that_came_after_it(make, healthy, timeline, last, said):
    """The undo of an earlier restore: what was committed since is gone, and the prompt must say so."""
    restore = make("Restore", "undo", repository="hippo", targetTimeline=timeline, set="20261101-000000F")
    text = "\n".join(data_loss.of_restore(restore, timelines(healthy, "Repository", last), NOW))
    assert said in text


def two_storages(make, healthy, **s3):
    """local and s3, both with a full of 1 November; s3 has a newer diff, which recovery does not begin with."""
    status = copy.deepcopy(healthy)
    full, diff = sorted(status["backups"], key=lambda one: one["stopTime"])
    local = {"name": "local", "repo": 1, "backupCount": 1, "backupCounts": {"full": 1}}
    other = {"name": "s3", "repo": 2, "backupCount": 2, "backupCounts": {"full": 1, "diff": 1}} | s3
    place = {"storage": "s3", "repo": 2}
    status |= {"storages": [local, other], "backups": [diff | place, full | place, full]}
    return make("Repository", "hippo", status=status, storageType="local,s3")


BEGINS = {
    "the first storage that has it": ({}, {}, "(full, storage local"),
    "the one that was chosen": ({"storage": "s3"}, {}, "(diff, storage s3"),
}


@pytest.mark.parametrize(("spec", "s3", "said"), BEGINS.values(), ids=BEGINS)
def test_of_two_storages_the_set_of_the_one_that_is_read_is_named(make, healthy, spec, s3, said):
    restore = make("Restore", "rewind", repository="hippo", target={"time": "2026-11-23 10:00:00+00"}, **spec)
    text = "\n".join(data_loss.of_restore(restore, two_storages(make, healthy, **s3), NOW))
    assert said in text


def test_a_storage_that_is_away_is_not_begun_with(make, healthy):
    repository = two_storages(make, healthy)
    repository["status"]["storages"][0]["reachable"] = False
    restore = make("Restore", "rewind", repository="hippo", target={"time": "2026-11-23 10:00:00+00"})
    assert "(diff, storage s3" in "\n".join(data_loss.of_restore(restore, repository, NOW))


def test_each_storages_window_has_a_line_of_its_own(make, healthy):
    windows = [
        {"storage": name, "earliest": "2026-11-01T00:10:00Z", "latest": "2026-11-23T11:55:00Z"}
        for name in ("local", "s3")
    ]
    repository = make("Repository", "hippo", status=healthy | {"recoveryWindow": windows})
    lines = data_loss.of_restore(make("Restore", "rewind", repository="hippo"), repository, NOW)
    assert "  recoverable: 2026-11-01 00:10:00Z to 2026-11-23 11:55:00Z from storage local" in lines
    assert "               2026-11-01 00:10:00Z to 2026-11-23 11:55:00Z from storage s3" in lines
    assert max(map(len, lines)) <= 120


def test_of_a_storage_as_it_was_nothing_is_told_by_the_status_of_today(make, healthy):
    spec = {"repoTargetTime": "2026-11-23T10:00:00Z", "volumeClaim": "rescued"}
    restore = make("Restore", "rescue", repository="hippo", **spec)
    text = "\n".join(data_loss.of_restore(restore, make("Repository", "hippo", status=healthy), NOW))
    assert "a backup set that the storage held at 2026-11-23T10:00:00Z, found when the Restore begins" in text
    assert "recoverable" not in text
    assert "20261105" not in text
