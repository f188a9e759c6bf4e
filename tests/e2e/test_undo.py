"""A restore of a restore of a restore, and undos of them: the rows are those of before, each time.

The tests build on one another: each leaves a PostgreSQL that runs and archives.
"""

from __future__ import annotations

import pytest

from harness import foretold
from harness.kubectl import Kubectl, phase
from harness.objects import backed_up, restore
from harness.postgres import Postgres

#: What PostgreSQL had, row by row, when the Restore of that name stopped it.
BEFORE: dict[str, str] = {}


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    return backed_up(space, installed.postgres_image)


def undo(space: Kubectl, name: str, of: str) -> dict:
    return foretold.carried_out(space, restore(name, undo=of))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_restore_upon_the_restore_before(postgres: Postgres, space: Kubectl, number: int):
    """Each goes to a moment of its own timeline, and loses a row that is only there."""
    postgres.sql(f"INSERT INTO notes VALUES ({10 * number}, 'kept by restore {number}')")
    kept, moment = postgres.rows("notes"), postgres.sql("SELECT clock_timestamp()")
    postgres.sql(f"INSERT INTO notes VALUES ({10 * number + 1}, 'lost by restore {number}')")
    BEFORE[f"back-{number}"] = postgres.rows("notes")
    timeline = int(postgres.sql("SELECT timeline_id FROM pg_control_checkpoint()"))
    asked = restore(f"back-{number}", {"time": moment})
    assert f"every transaction committed after {moment[:19]}Z" in foretold.prompt(space, asked)
    status = foretold.carried_out(space, asked)
    assert postgres.rows("notes") == kept
    assert (status["timelineBefore"], status["timeline"]) == (timeline, timeline + 1)
    assert status["stoppedTime"] >= moment[:10]


def test_undoing_the_last_brings_back_what_it_lost(postgres: Postgres, space: Kubectl):
    postgres.sql("INSERT INTO notes VALUES (99, 'after all of them')")
    BEFORE["undo-3"] = postgres.rows("notes")
    status = undo(space, "undo-3", "back-3")
    assert postgres.rows("notes") == BEFORE["back-3"]
    assert status["timeline"] > status["timelineBefore"] > space.get("pgr", "back-3")["status"]["timelineBefore"]


def test_undoing_an_earlier_one_goes_back_past_those_upon_it(postgres: Postgres, space: Kubectl):
    BEFORE["undo-2"] = postgres.rows("notes")
    stopped = space.get("pgr", "back-2")["status"]["stoppedTime"].replace("T", " ")
    said = foretold.prompt(space, restore("undo-2", undo="back-2"))
    assert f"EVERYTHING committed since Restore back-2 stopped PostgreSQL at {stopped}" in said
    assert "kept as claim data-postgres-0-before-undo-2" in said
    undo(space, "undo-2", "back-2")
    assert postgres.rows("notes") == BEFORE["back-2"]


def test_an_undo_is_undone(postgres: Postgres, space: Kubectl):
    undo(space, "redo", "undo-3")
    assert postgres.rows("notes") == BEFORE["undo-3"]
    assert "99|after all of them" in postgres.rows("notes")


def test_a_restore_whose_object_is_gone_is_undone_by_what_its_backup_carries(postgres: Postgres, space: Kubectl):
    """The set on which the way begins is the first of all, of another timeline than those that came after."""
    space.delete("pgr", "back-1")
    status = undo(space, "undo-1", "back-1")
    assert postgres.rows("notes") == BEFORE["back-1"]
    assert status["set"] == space.get("pgb", "base")["status"]["label"]
    assert "from just before Restore back-1 stopped PostgreSQL" in message(space, "undo-1")


def test_a_time_that_a_restore_took_back_needs_its_timeline(postgres: Postgres, space: Kubectl):
    """Restored too far by mistake: what was meant is on the timeline of before alone."""
    too_early = postgres.sql("SELECT clock_timestamp()")
    postgres.sql("INSERT INTO notes VALUES (200, 'was meant to stay')")
    rows, meant = postgres.rows("notes"), postgres.sql("SELECT clock_timestamp()")
    postgres.sql("INSERT INTO notes VALUES (201, 'the mistake')")
    timeline = postgres.sql("SELECT timeline_id FROM pg_control_checkpoint()")
    foretold.carried_out(space, restore("too-far", {"time": too_early}))
    assert "was meant to stay" not in postgres.rows("notes")
    said = space.refused(restore("meant", {"time": meant}))
    assert "was taken back by Restore too-far" in said
    assert f'add targetTimeline: "{timeline}"' in said
    foretold.carried_out(space, restore("meant", {"time": meant}, targetTimeline=timeline))
    assert postgres.rows("notes") == rows


def test_what_cannot_be_undone_is_refused_with_the_reason(postgres: Postgres, space: Kubectl):
    said = space.refused(restore("both", {"immediate": True}, undo="back-2"))
    assert "cannot be combined with target" in said
    space.apply(restore("nothing", undo="never-was"))
    done = space.until("pgr", "nothing", phase("Completed", "Failed"), "ends", 60)
    assert (done["status"]["phase"], done["status"]["reason"]) == ("Failed", "NothingToUndo")
    assert "there is no Restore never-was" in done["status"]["message"]


def message(space: Kubectl, name: str) -> str:
    listed = space.get("pgr", name)["status"]["conditions"]
    return next(one["message"] for one in listed if one["type"] == "Validated")
