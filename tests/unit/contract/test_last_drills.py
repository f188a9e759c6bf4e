"""What the drills of a Repository prove together."""

from __future__ import annotations

import pytest

from pgwarden.contract import last_drills

BOTH = ("local", "s3")


def one(day: int, phase: str = "Completed", storage: str = "local", **more) -> dict:
    made = {"name": f"d-{day}", "uid": f"u-{day}", "endedAt": f"2026-11-{day:02d}T01:00:00Z", "phase": phase}
    reason = "Completed" if phase == "Completed" else "ChecksFailed"
    return made | {"reason": reason, **({"storage": storage} if storage else {})} | more


def newest_first(*drills: dict) -> list[dict]:
    found: list[dict] = []
    for each in drills:
        found = last_drills.added(found, each)
    return found


@pytest.mark.parametrize(
    ("drills", "status", "reason", "words"),
    [
        ([], None, "NoDrill", "no RestoreDrill of this Repository has ended"),
        ([one(1, set="20261101-000000F", recoveredTo="2026-11-01 00:59:58+00", seconds=83)], True, "DrillPassed",
         "RestoreDrill d-1 restored set 20261101-000000F from storage local up to 2026-11-01 00:59:58+00 in 1 min 23 s"),
        ([one(1), one(2, "Failed", message="1 of 5 checks failed: rows: it is f")], False, "ChecksFailed",
         "RestoreDrill d-2 failed at 2026-11-02 01:00:00Z: 1 of 5 checks failed"),
        ([one(1, "Failed"), one(2)], True, "DrillPassed", "RestoreDrill d-2"),
        ([one(1, "Failed"), one(2, storage="s3")], False, "ChecksFailed", "RestoreDrill d-1"),
        ([one(1, "Failed", storage=""), one(2, storage="s3")], True, "DrillPassed", "RestoreDrill d-2"),
        ([one(1), one(2, "Failed", storage="")], False, "ChecksFailed", "RestoreDrill d-2"),
        ([one(1), one(2, "Failed", storage="gcs")], True, "DrillPassed", "RestoreDrill d-1"),
        ([one(2, "Failed", storage="gcs")], None, "NoDrill", "of storage local or s3"),
        ([one(1, "Failed", reason="DeadlineExceeded"), one(2, "Failed")], False, "ChecksFailed", "RestoreDrill d-2"),
    ],
)  # fmt: skip
def test_the_condition_is_of_the_newest_drill_of_each_storage(drills, status, reason, words):
    found = last_drills.verdict(newest_first(*drills), BOTH)
    assert (found.status, found.reason) == (status, reason)
    assert words in found.message


def test_ten_are_kept_newest_first_and_always_the_last_of_each_storage():
    found = newest_first(one(1, "Failed", storage="s3"), *(one(day) for day in range(2, 20)))
    assert [each["name"] for each in found] == [*(f"d-{day}" for day in range(19, 10, -1)), "d-1"]
    assert last_drills.verdict(found, BOTH).reason == "ChecksFailed"


def test_a_drill_is_there_once_however_often_it_is_told():
    found = newest_first(one(1), one(2), one(2, "Failed"))
    assert [(each["name"], each["phase"]) for each in found] == [("d-2", "Failed"), ("d-1", "Completed")]


def test_drills_of_an_earlier_repository_of_the_name_prove_nothing():
    repository = {"metadata": {"creationTimestamp": "2026-11-02T00:00:00Z"}, "status": {"lastDrills": [one(2), one(1)]}}
    assert [each["name"] for each in last_drills.of(repository)] == ["d-2"]


def test_what_is_no_list_of_drills_is_none():
    for listed in (None, "x", [1], [{"endedAt": "yesterday"}], [{}]):
        assert last_drills.of({"metadata": {}, "status": {"lastDrills": listed}}) == []


@pytest.mark.parametrize(
    ("seconds", "total"),
    [({"copy": 5, "replay": 7, "checks": 100}, 12), ({"volume": 1, "start": 2, "queue": 50}, 3), ({}, None)],
)
def test_the_time_of_a_restore_is_without_waiting_and_without_checks(seconds, total):
    assert last_drills.seconds_of({"seconds": seconds}) == total
