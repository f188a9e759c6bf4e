"""The table of `make drills`: what a drill said stands in it as it was said."""

from __future__ import annotations

from harness.drill_report import PHASES, Answer, table

STATUS = {
    "phase": "Failed",
    "reason": "ChecksFailed",
    "message": "1 of 5 checks failed: pgwarden/amcheck: a|b",
    "startTime": "2026-12-01T10:00:00Z",
    "completionTime": "2026-12-01T10:01:05Z",
    "seconds": {"copy": 3, "checks": 9},
}


def test_a_fault_has_its_answer_and_the_seconds_that_are_known():
    line = table([Answer.of("an index", STATUS)]).splitlines()[-1]
    assert line == (
        "| an index | `ChecksFailed`: 1 of 5 checks failed: pgwarden/amcheck: a\\|b |  | 3 |  |  | 9 | 65 |"
    )
    assert line.replace("\\|", "").count("|") == len(PHASES) + 4
