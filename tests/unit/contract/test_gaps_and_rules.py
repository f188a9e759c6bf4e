"""WAL that is missing: from the host's answer, by the Repository's status, to what is said of a Restore."""

from __future__ import annotations

from dataclasses import replace as changed
from datetime import timedelta
from typing import Any

import pytest

from controller.repository import report
from pgwarden.contract.archive import Gap
from pgwarden.contract.status import Status
from pgwarden.rules import wal_gaps
from tests.unit.contract import produced
from tests.unit.contract.worlds import World
from tests.unit.controller.repository.test_gaps import AFTER, BEFORE, SETS, STOPS, at, facts, gap

MENDED, OPEN = [gap(18, BEFORE)], [gap(40, AFTER)]


def there(found: list[Gap], storage_type: str = "local", sets: Any = SETS) -> World:
    given = facts(*found, storage_type=storage_type, sets=sets)
    status = produced.stored(report.status(given, {}))
    return World(tuple(sets), given.repository | {"status": status})


def lsn(number: int) -> str:
    return f"0/{number * 2**24 + 0x100:X}"


CASES = {
    "a moment before the gap": (MENDED, {"target": {"time": at(BEFORE)}}, ""),
    "a moment behind it": (MENDED, {"target": {"time": at(BEFORE + timedelta(minutes=1))}}, "spec.target.time"),
    "a moment just before the next backup": (MENDED, {"target": {"time": at(STOPS[2] - timedelta(seconds=1))}}, "spec.target.time"),
    "the end of the next backup": (MENDED, {"target": {"time": at(STOPS[2])}}, ""),
    "a moment after the next backup": (MENDED, {"target": {"time": at(STOPS[2] + timedelta(minutes=10))}}, ""),
    "the latest state, from the next backup": (MENDED, {}, ""),
    "the latest state, and no backup followed": (OPEN, {}, "spec.target"),
    "the latest state of the set before": (MENDED, {"set": SETS[0].label}, "spec.target"),
    "the latest state of the set after": (MENDED, {"set": SETS[2].label}, ""),
    "a moment behind it, from the set before": (
        MENDED, {"set": SETS[0].label, "target": {"time": at(STOPS[3] + timedelta(minutes=1))}}, "spec.target.time",
    ),
    "a moment before it, from the set before": (MENDED, {"set": SETS[0].label, "target": {"time": at(BEFORE)}}, ""),
    "a position before the gap": (MENDED, {"target": {"lsn": lsn(17)}}, ""),
    "a position in the gap": (MENDED, {"target": {"lsn": lsn(18)}}, "spec.target.lsn"),
    "a position behind it": (MENDED, {"target": {"lsn": lsn(20)}}, "spec.target.lsn"),
    "a position after the next backup": (MENDED, {"target": {"lsn": lsn(24)}}, ""),
    "the end of a backup": (OPEN, {"target": {"immediate": True}}, ""),
    "a transaction, which may be anywhere": (OPEN, {"target": {"xid": "777"}}, ""),
    "a timeline of before": (OPEN, {"targetTimeline": "1"}, ""),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_target_behind_missing_wal_is_refused_by_the_segments_name(case):
    found, spec, field = CASES[case]
    faults = there(found).judge("Restore", **spec).faults
    assert [one.field for one in faults] == [field] * bool(field)
    for fault in faults:
        assert f"WAL segment {found[0].missing} is missing in storage local" in fault.message
        later = ", or omit set" if spec.get("set") else f", or from {at(STOPS[2])} on"
        assert fault.message.endswith("choose a target time up to then" + later * (found is MENDED))


def test_another_storage_that_has_it_all_will_do():
    both = [*SETS, *(changed(one, repo=2) for one in SETS)]
    world = there(OPEN, "local,s3", both)
    assert world.judge("Restore").faults == []
    assert world.judge("Restore", storage="s3").faults == []
    assert world.judge("Restore", storage="local").faults == []  # WAL is taken from where it is
    world.status["storages"][1]["reachable"] = False
    assert [one.field for one in world.judge("Restore", storage="local").faults] == ["spec.target"]


@pytest.mark.parametrize(
    "status", [None, {}, {"recoveryWindow": 7}, {"recoveryWindow": [{"missing": 7}, None, "x"]}], ids=str
)
def test_a_status_of_any_shape_says_nothing(status):
    assert wal_gaps.problem({"status": status}, wal_gaps.Wanted()) == ""
    assert wal_gaps.problem(None, wal_gaps.Wanted()) == ""


def test_an_answer_of_a_host_of_before_tells_no_gaps():
    assert Status().archives is None
