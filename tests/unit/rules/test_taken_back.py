"""Which times a Restore needs a timeline for, after Restores that took some back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pgwarden.rules import taken_back
from tests.unit.rules.conftest import build


def at(clock: str) -> str:
    return f"2026-11-12T{clock}:00Z"


def done(name: str, before: int, stopped: str, *, to: str = "", **spec: Any) -> dict[str, Any]:
    """A Restore that took PostgreSQL from timeline *before* to the next one; *to* a time, or to the end."""
    target = {"target": {"time": at(to)}} if to else {}
    status = {
        "phase": "Completed",
        "timelineBefore": before,
        "timeline": before + 1,
        "recoveredTo": at(to or stopped),
        "stoppedTime": at(stopped),
        "conditions": [{"type": "Started", "status": "True"}],
    }
    return build("Restore", name, repository="hippo", status=status, **target, **spec)


TOO_FAR = done("too-far", 1, "12:00", to="10:00")
UNDONE = done("undo", 2, "13:00", undo="too-far")
RIGHT = done("right", 2, "13:00", to="11:00", targetTimeline="1")


def without(restore: dict[str, Any], *path: str) -> dict[str, Any]:
    if len(path) == 1:
        return {key: value for key, value in restore.items() if key != path[0]}
    return restore | {path[0]: without(restore[path[0]], *path[1:])}


@pytest.mark.parametrize(
    ("restores", "wanted", "timeline"),
    [
        pytest.param([], "11:00", "", id="no Restore"),
        pytest.param([TOO_FAR], "11:00", "1", id="taken back"),
        pytest.param([TOO_FAR], "12:00", "1", id="right before it was taken back"),
        pytest.param([TOO_FAR], "10:00", "", id="where the Restore went"),
        pytest.param([TOO_FAR], "09:00", "", id="before that"),
        pytest.param([TOO_FAR], "12:30", "", id="after it"),
        pytest.param([done("all", 1, "12:00")], "11:00", "", id="a Restore to the end takes nothing back"),
        pytest.param([TOO_FAR, UNDONE], "11:00", "", id="the Restore was undone"),
        pytest.param([UNDONE, TOO_FAR], "12:30", "2", id="what the undo took back"),
        pytest.param([TOO_FAR, RIGHT], "10:30", "", id="brought back along the older timeline"),
        pytest.param([TOO_FAR, RIGHT], "11:30", "1", id="taken back twice"),
        pytest.param([TOO_FAR, RIGHT], "12:30", "2", id="of the Restore in between"),
        pytest.param([TOO_FAR, done("late", 4, "15:00", to="14:00")], "11:00", "1", id="below a failover"),
        pytest.param(
            [TOO_FAR, done("late", 4, "15:00", to="14:00")], "14:30", "4", id="of a timeline after a failover"
        ),
        pytest.param(
            [done("own", 1, "12:00", to="10:00", targetTimeline="current")], "11:00", "", id="not known which"
        ),
        pytest.param([UNDONE], "11:00", "", id="not known what was undone"),
        pytest.param([done("aside", 1, "12:00", to="10:00", volumeClaim="copy")], "11:00", "", id="into a claim"),
        pytest.param([without(TOO_FAR, "status", "conditions")], "11:00", "", id="not started yet"),
        pytest.param([without(TOO_FAR, "status", "stoppedTime")], "11:00", "", id="of an earlier version"),
        pytest.param([without(TOO_FAR, "status")], "11:00", "", id="one that has not begun"),
    ],
)
def test_a_time_that_was_taken_back_needs_its_timeline(restores, wanted, timeline):
    found = taken_back.problem(restores, datetime.fromisoformat(at(wanted)).astimezone(UTC))
    assert bool(found) == bool(timeline), found
    if timeline:
        assert f'add targetTimeline: "{timeline}"' in found


def test_the_sentence_names_the_restore_and_both_ways_out():
    said = taken_back.problem([TOO_FAR], datetime(2026, 11, 12, 11, tzinfo=UTC))
    assert said == (
        "was taken back by Restore too-far, which at 2026-11-12T12:00:00Z brought back the state of 2026-11-12T10:00:00Z; "
        'for the state at that time add targetTimeline: "1", for what the timeline of now has of it targetTimeline: latest'
    )


def test_with_a_timeline_it_is_not_refused(make, refusal, hippo, cluster):
    assert hippo["metadata"]["name"] == "hippo"
    time = {"time": at("11:00")}
    cluster.present.append(TOO_FAR)
    assert "was taken back by Restore too-far" in refusal(make("Restore", repository="hippo", target=time))
    for timeline in ("latest", "1"):
        assert "taken back" not in refusal(make("Restore", repository="hippo", target=time, targetTimeline=timeline))


def test_two_thousand_restores_are_judged_at_once():
    listed = [done(f"r{number}", number, "12:00", to="10:00") for number in range(1, 2001)]
    assert "taken back by Restore r1," in taken_back.problem(listed, datetime(2026, 11, 12, 11, tzinfo=UTC))
