"""A recovery as it is seen: in the line of --wait, and in `show restore NAME`."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pgwarden.cli import recovery_view, show_restore, wait
from pgwarden.cli.wait import Log
from tests.unit.cli.conftest import NOW

MOVED = f"{NOW - timedelta(seconds=2):%Y-%m-%dT%H:%M:%SZ}"
LONG_AGO = f"{NOW - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}"
COPYING = {
    "phase": "Copying",
    "set": "20261123-010000F",
    "copiedPercent": 37.2,
    "copiedBytes": 9 * 2**20,
    "advanced": MOVED,
}
REPLAYING = {
    "phase": "Replaying", "segment": "0000000100000000000000A1", "segments": 30, "remaining": 40, "rate": 2.0,
    "lastReplayTime": "2026-11-23T10:00:00Z", "advanced": MOVED, "log": ["one line", "another"],
}  # fmt: skip
PAUSED = REPLAYING | {
    "advanced": LONG_AGO,
    "reason": "ParameterTooSmall",
    "message": "recovery has paused: max_connections was 200",
}

AT = "replaying WAL, at 0000000100000000000000A1, 40 segments to go, about 20 s"
SHORT = {
    "copying": (COPYING, "copying backup set, 9.0 MiB so far"),
    "replaying": (REPLAYING, "replaying WAL, at 0000000100000000000000A1, 40 segments to go, about 20 s"),
    "no rate yet": ({**REPLAYING, "rate": None}, "replaying WAL, at 0000000100000000000000A1, 40 segments to go"),
    "standing still": (
        PAUSED,
        f"{AT}, stands still since 10 min, ParameterTooSmall: recovery has paused: max_connections was 200",
    ),
    "following, which waits": (
        {"phase": "Following", "segment": "0000000100000000000000A1", "remaining": 0, "advanced": LONG_AGO},
        "all archived WAL is replayed; following the archive, at 0000000100000000000000A1",
    ),
    "one of a later version": ({"phase": "Thinking"}, "Thinking"),
    "nothing": ({}, ""),
}


@pytest.mark.parametrize(("recovery", "said"), SHORT.values(), ids=SHORT)
def test_a_recovery_is_one_line(recovery, said):
    assert recovery_view.short(recovery, NOW) == said


def at_step(make, step, recovery, **status):
    told = {"phase": "Running", "step": step, "startTime": LONG_AGO, "message": "its message", "recovery": recovery}
    return make("Restore", "back", repository="hippo", status=told | status)


LINES = {
    "while copying": ("Restored", COPYING, "Running  10 min  step Restored (4 of 10)  37.20 %  copying backup set, 9.0 MiB so far"),
    "while replaying": ("Replayed", REPLAYING, "Running  10 min  step Replayed (5 of 10)  replaying WAL, at 0000000100000000000000A1, 40 segments to go, about 20 s"),
    "while stopping": ("Stopped", REPLAYING, "Running  10 min  step Stopped (6 of 10)  its message"),
    "without one": ("Replayed", {}, "Running  10 min  step Replayed (5 of 10)  its message"),
}  # fmt: skip


@pytest.mark.parametrize(("step", "recovery", "said"), LINES.values(), ids=LINES)
def test_waiting_shows_how_far_the_recovery_is(make, step, recovery, said):
    assert wait.line(at_step(make, step, recovery), Log(), NOW) == said


def test_one_by_its_name_is_shown_whole(make):
    listed = [
        {"type": "Fenced", "status": "True", "reason": "Archived", "lastTransitionTime": "2026-11-23T11:50:00Z"},
        {"type": "Replayed", "status": "Unknown", "reason": "Replaying", "lastTransitionTime": "2026-11-23T11:51:00Z"},
    ]
    forecast = {
        "set": "20261123-010000F",
        "type": "full",
        "storage": "local",
        "copyBytes": 2**30,
        "walSegments": 70,
        "seconds": 125,
        "lost": "all of it",
    }
    restore = at_step(
        make, "Replayed", PAUSED | {"copiedBytes": 2**29, "copiedPercent": 50}, conditions=listed, forecast=forecast
    )
    restore["spec"]["undo"] = "earlier"
    assert show_restore.lines([restore], NOW, whole=True) == [
        "RESTORE  REPOSITORY  PHASE    STEP      STARTED               RECOVERED TO",
        "back     hippo       Running  Replayed  2026-11-23 11:50:00Z  -",
        "  back: its message",
        "",
        "STEP      STATE      SINCE",
        "Fenced    done       2026-11-23 11:50:00Z",
        "Replayed  Replaying  2026-11-23 11:51:00Z",
        "",
        "forecast",
        "  undoes:      Restore earlier",
        "  begins with: backup 20261123-010000F (full, storage local)",
        "  takes:       1.0 GiB to copy, 70 WAL segments to replay, about 2 min 5 s",
        "  lost:        all of it",
        "",
        "recovery: replaying WAL",
        "  copied:      512.0 MiB of 1.0 GiB (50.0 %)",
        "  replayed:    30 WAL segments up to 0000000100000000000000A1 (last commit 2026-11-23 10:00:00Z)",
        "  to go:       40 segments to go, about 20 s",
        "  rate:        2.0 segments a second, over the last minute",
        "  advanced:    2026-11-23 11:50:00Z",
        "  stands:      stands still since 10 min, ParameterTooSmall: recovery has paused: max_connections was 200",
        "  log:         one line",
        "               another",
    ]


def test_of_many_only_the_table_is_shown(make):
    several = [at_step(make, "Replayed", REPLAYING), at_step(make, "Restored", COPYING)]
    assert not [line for line in show_restore.lines(several, NOW, whole=False) if "recovery" in line]


def test_of_one_that_is_over_the_recovery_is_told_as_it_was(make):
    over = at_step(make, None, PAUSED, phase="Failed")
    lines = show_restore.lines([over], NOW, whole=True)
    assert "recovery, as it was last: replaying WAL" in lines
    assert not [line for line in lines if line.startswith("  stands:")]
