"""show cluster, and the line of one that is waited for."""

from __future__ import annotations

import pytest

from pgwarden.cli import show_cluster, wait
from tests.unit.cli.conftest import NOW


def test_show_has_instances_of_one_and_rows_of_all(cluster):
    all_of_them = show_cluster.lines([cluster()], NOW, whole=False)
    assert len(all_of_them) == 2  # what is Ready needs no sentence
    assert all_of_them[1].split()[:5] == ["hippo", "Ready", "hippo-3", "3/3", "on"]
    one = show_cluster.lines([cluster()], NOW, whole=True)
    assert any(line.startswith("hippo-1   replica") for line in one)
    assert one[-1] == "  Ready True: hippo-3 takes reads and writes"
    assert show_cluster.lines([], NOW, whole=True) == []


RECOVERY = {"phase": "Replaying", "segment": "0000000100000000000000A1", "segments": 40, "remaining": 20, "rate": 2.0}


@pytest.mark.parametrize(
    ("phase", "reason", "heading"),
    [
        ("Creating", "Cloning", "recovery: replaying WAL"),
        ("Failed", "CloneFailed", "recovery, as it was last: replaying WAL"),
    ],
)
def test_a_cluster_that_begins_with_data_shows_how_far_its_recovery_is(cluster, phase, reason, heading):
    said = {"type": "DataSource", "status": "False", "reason": reason, "message": "it is copied"}
    one = cluster(phase=phase, recovery=RECOVERY, conditions=[said], instances=[])
    shown = show_cluster.lines([one], NOW, whole=True)
    assert heading in shown
    assert any(line.endswith("40 WAL segments up to 0000000100000000000000A1") for line in shown)


def test_the_line_of_a_cluster_that_is_waited_for_says_how_far_its_recovery_is(cluster):
    said = {"type": "DataSource", "status": "False", "reason": "Cloning", "message": "it is copied"}
    one = cluster(phase="Creating", recovery=RECOVERY, conditions=[said])
    assert "replaying WAL, at 0000000100000000000000A1, 20 segments to go, about 10 s" in wait.line(
        one, wait.Log(), NOW
    )
