"""What a restore under fire is judged by, which cells are tried, and how the table tells of them."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

import pytest

from bench.fault_report import report
from bench.faults import KINDS, groups
from harness import killing
from harness.faults import FAULTS, STEPS, TARGETS, applies
from harness.fire import Outcome
from harness.waiting import until


@pytest.mark.parametrize(
    ("given", "good"),
    [
        ({"phase": "Completed", "rows": "the target's", "hit": "Fenced"}, True),
        ({"phase": "Completed", "rows": "as before", "hit": "Fenced"}, False),
        ({"phase": "Completed", "rows": "all", "hit": "Fenced", "target": "latest"}, True),
        ({"phase": "Failed", "rows": "as before", "hit": "Fenced"}, True),
        ({"phase": "Failed", "rows": "the target's", "hit": "Fenced"}, False),
        ({"phase": "Undone", "rows": "the target's", "hit": "BackedUp"}, True),
        ({"phase": "Completed", "rows": "LOST: 3 of 9", "hit": "Fenced"}, False),
        ({"phase": "Completed", "rows": "the target's", "hit": "Fenced", "left": ["claim x"]}, False),
    ],
    ids=["done", "done, and the rows are not", "done to the latest state", "failed", "failed, and the rows are gone",
         "deleted after the start", "rows are lost", "a claim is left"],
)  # fmt: skip
def test_a_restore_ends_whole_one_way_or_the_other(given, good):
    assert Outcome("Fenced", "controller killed", **given).good is good


def chosen(**other: object) -> argparse.Namespace:
    every = {"step": list(STEPS), "fault": list(FAULTS)[1:], "kind": list(KINDS), "target": list(TARGETS), "modes": 2}
    return argparse.Namespace(**every | other)


@pytest.mark.parametrize("modes", [1, 2, 4])
def test_each_fault_is_tried_at_each_step_where_there_is_something_to_harm(modes):
    tried = [cell for group in groups(chosen(modes=modes)) for cell in group]
    assert len(tried) == len(set(tried))
    possible = {(s, f) for s in STEPS for f in list(FAULTS)[1:] for t in TARGETS if applies(s, f, s3=True, target=t)}
    assert {(cell.step, cell.fault) for cell in tried} == possible
    assert all(applies(cell.step, cell.fault, s3=True, target=cell.target) for cell in tried)


def test_two_of_each_cell_have_both_kinds_and_both_targets_where_there_are_both():
    tried = [c for group in groups(chosen(step=["Fenced"], fault=["deleted"])) for c in group]
    assert sorted((cell.kind, cell.target) for cell in tried) in (
        [("PostgresCluster", "latest"), ("StatefulSet", "moment")],
        [("PostgresCluster", "moment"), ("StatefulSet", "latest")],
    )


def test_what_harms_everyone_is_tried_by_itself():
    for group in groups(chosen()):
        common = {cell.fault for cell in group if FAULTS[cell.fault].common}
        assert not common or {cell.fault for cell in group} == common


def test_the_table_tells_of_each_kind_and_target_and_what_went_wrong():
    text = report([
        Outcome("Fenced", "controller killed", "StatefulSet", "moment", hit="Fenced", phase="Completed", rows="the target's",
                seconds=31.4, down=6),
        Outcome("Fenced", "controller killed", "PostgresCluster", "latest", hit="VolumeReady", phase="Failed", reason="ClaimGone",
                rows="all", seconds=9.0, message="claim x was deleted"),
        Outcome("Replayed", "Job deleted", "StatefulSet", "latest", "", phase="Completed"),
        Outcome("Swapped", "deleted", "StatefulSet", "latest", hit="Swapped", phase="Undone", rows="LOST: 1"),
    ])  # fmt: skip
    assert "| controller killed |  | Pl ClaimGone 9 (came at VolumeReady)<br>Sm 31 |" in text
    assert "Sl late" in text
    assert "Sl **BAD** Undone LOST: 1" in text
    assert "2 of 3 trials ended whole" in text
    assert "- Fenced, controller killed, Pl: Failed ClaimGone claim x was deleted" in text
    assert "median 6" in text


def test_a_process_is_found_by_its_words_held_up_and_killed():
    with subprocess.Popen([sys.executable, "-c", "input()", "agent", "recover"], stdin=subprocess.PIPE) as child:
        until(lambda: killing.words(child.pid)[-2:] == ["agent", "recover"], "it runs its program", 30, pause=0.01)
        assert child.pid in killing.beside(os.getpid())
        killing.hold_up([child.pid], 0.01)
        assert child.poll() is None
        killing.kill([child.pid])
        assert child.wait(10) < 0
    assert killing.words(child.pid) == []
