"""What the pages show, from the objects: the same that the command line says."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest

from harness.waiting import SLOWER
from pgwarden.api.target import TargetError
from pgwarden.cli import parser, resources, status
from pgwarden.cli.prospect import Around
from pgwarden.cli.protection import judge
from pgwarden.contract.archive import Gap
from pgwarden.dashboard import drills, moment, overview, proof, timeline, week
from tests.unit.dashboard.fleet import DAY, NOW, drill, plain, repository, restore, schedule, snapshot, thousand

# --- every Repository ---------------------------------------------------------------------------------------------


def test_the_table_says_what_status_says():
    there = snapshot(repository(), schedule("nightly"), repository("other", archiveStatus=1, recoveryWindow=[]))
    rows = {one.name: one for one in overview.of(there, NOW).rows}
    said = {one["repository"]: one for one in map(status.as_data, judge(there.there, NOW))}
    assert rows.keys() == said.keys() == {"hippo", "other"}
    for name, row in rows.items():
        assert (row.state == overview.PROTECTED) == said[name]["protected"]
        assert (row.since.iso if row.since else None) == said[name]["since"]
        assert (row.until.iso if row.until else None) == said[name]["until"]
        assert list(row.wrong) == said[name]["wrong"]
    assert (rows["hippo"].rpo, rows["hippo"].window) == ("5 min", "4 d")


def test_what_is_wrong_comes_first_and_is_counted():
    bad = [{"type": "Archiving", "status": "False", "reason": "Failed", "message": "no room"}]
    there = snapshot(
        repository("a"),
        schedule("of-a", "a"),
        repository("b", conditions=bad),
        schedule("of-b", "b"),
        repository("c", recoveryWindow=[]),
        schedule("of-c", "c"),
    )
    found = overview.of(there, NOW)
    assert [(one.name, one.state) for one in found.rows] == [
        ("c", "not protected"),
        ("b", "at risk"),
        ("a", "protected"),
    ]
    assert found.counts == {"not protected": 1, "at risk": 1, "protected": 1}


def test_a_kind_that_may_not_be_read_is_not_said_to_be_absent():
    (row,) = overview.of(snapshot(repository(), backupschedules="forbidden"), NOW).rows
    assert not [note for note in row.notes if "BackupSchedule" in note]
    (row,) = overview.of(snapshot(repository()), NOW).rows
    assert [note for note in row.notes if "there is no BackupSchedule" in note]


def test_a_thousand_repositories_are_judged_in_under_a_second():
    there = snapshot(*thousand())
    began = time.process_time()
    found = overview.of(there, NOW)
    assert time.process_time() - began < 1.0 * SLOWER
    assert found.counts["protected"] == 1000


# --- proof --------------------------------------------------------------------------------------------------------

LAST = [
    {"name": "d2", "uid": "2", "endedAt": "2026-11-23T06:00:00Z", "phase": "Failed", "message": "wrong"},
    {"name": "d1", "uid": "1", "endedAt": "2026-11-22T06:00:00Z", "phase": "Completed", "seconds": 75},
]


def proven(state: str) -> list[dict[str, str]]:
    return [{"type": "Proven", "status": state, "reason": "X", "message": "why"}]


def test_the_last_proof_is_the_newest_drill_that_passed_and_the_word_is_the_conditions():
    found = proof.of(repository(lastDrills=LAST, conditions=proven("False")), [], NOW)
    assert (found.word, found.drill, found.took) == ("FAILED", "d1", "1 min 15 s")
    found = proof.of(repository(lastDrills=LAST[:1]), [], NOW)
    assert (found.word, found.at) == ("FAILED", None)
    found = proof.of(repository(conditions=proven("Unknown")), [], NOW)
    assert (found.word, found.at) == ("not yet", None)


def test_a_repository_that_was_made_since_is_not_proven_by_the_one_before():
    found = repository(lastDrills=LAST)
    found["metadata"]["creationTimestamp"] = "2026-11-23T07:00:00Z"
    assert proof.of(found, [], NOW).word == ""
    assert timeline.of(found, [], [], [], NOW).events == ()


def test_without_a_list_the_drills_that_are_there_tell():
    assert proof.of(repository(), [drill()], NOW).word == "proven"
    assert proof.of(
        repository(), [drill(), drill("later", "Failed", completionTime="2026-11-23T09:00:00Z")], NOW
    ).word == ("FAILED")
    assert proof.of(repository(), [drill(phase="Running")], NOW).word == ""


# --- one Repository's past ----------------------------------------------------------------------------------------


def lanes(found: timeline.Timeline) -> dict[str, timeline.Lane]:
    return {one.title: one for one in found.lanes}


def test_every_set_restore_and_drill_has_its_mark():
    found = lanes(timeline.of(repository(), [], [restore()], [drill(), drill("bad", "Failed")], NOW))
    assert [one.kind for one in found["storage local"].marks] == [
        "full",
        "incr",
        "incr",
        "diff",
        "incr",
        "incr",
        "full",
        "incr",
        "incr",
    ]
    assert [one.kind for one in found["restores"].marks] == ["Completed"]
    assert sorted(one.kind for one in found["drills"].marks) == ["Completed", "Failed"]
    assert [one.label for one in found["timeline"].bars] == ["1", "2"]
    places = [one.x for one in found["storage local"].marks]
    assert places == sorted(places)


def test_a_gap_is_drawn_and_named():
    sets = repository()["status"]["backups"]
    missing = sets[2]["walStop"][:-2] + "FF"
    gap = Gap(missing=missing, segments=1, next=sets[1]["walStart"], until=NOW - DAY)
    found = repository()
    window = found["status"]["recoveryWindow"][0]
    found["status"]["recoveryWindow"] = [
        window | {"earliest": "2026-11-22T23:00:00Z"},
        window | {"latest": "2026-11-22T12:00:00Z", "missing": gap.missing},
    ]
    drawn = timeline.of(found, [], [], [], NOW)
    assert [one.kind for one in lanes(drawn)["storage local"].bars] == ["window", "gap", "window", "waiting"]
    assert f"WAL segment {missing} is missing" in drawn.summary


def test_wal_that_is_not_archived_is_told_apart_from_what_waits():
    bad = [{"type": "Archiving", "status": "False", "reason": "Failed", "message": "no room"}]
    found = lanes(timeline.of(repository(conditions=bad), [], [], [], NOW))
    assert found["storage local"].bars[-1].kind == "broken"


def test_drills_that_are_deleted_stay_on_the_line():
    found = timeline.of(repository(lastDrills=LAST), [], [], [], NOW)
    assert [(one.name, one.kind) for one in found.events] == [("d2", "RestoreDrill"), ("d1", "RestoreDrill")]


def test_a_backup_without_a_set_has_a_line_of_its_own():
    over = {"phase": "Failed", "startTime": "2026-11-22T00:00:00Z", "message": "no room"}
    failed = plain("Backup", "bad", status=over, repository="hippo")
    made = plain("Backup", "good", status=over | {"phase": "Completed"}, repository="hippo")
    found = timeline.of(repository(), [failed, made], [], [], NOW)
    assert [one.words for one in lanes(found)["no set"].marks] == ["Backup bad: Failed, 2026-11-22 00:00:00Z"]
    assert [(one.name, one.what) for one in found.events] == [("bad", "Failed. no room")]
    assert "no set" not in lanes(timeline.of(repository(), [made], [], [], NOW))


def test_nothing_at_all_is_a_line_too():
    found = timeline.of(plain("Repository", "new", storageType="local"), [], [], [], NOW)
    assert found.summary == "nothing can be recovered: there is no finished backup"
    assert moment.slider(plain("Repository", "new", storageType="local"), None) is None


# --- a moment -----------------------------------------------------------------------------------------------------


def where(*restores, **more) -> moment.Where:
    there = [repository(), *restores]
    return moment.Where(there[0], "ns", there, Around(restores=restores), **more)


def test_a_moment_shows_set_bytes_minutes_and_the_command():
    at = NOW - timedelta(hours=20)
    found = moment.of(where(restore()), at, NOW)
    assert found.command == "kubectl pgwarden restore hippo -n ns --pitr-target=2026-11-22T16:00:00Z"
    assert found.set == "20261122-105000F (full, storage local)"
    assert (found.copies, found.takes, found.refused) == ("22.3 MiB", "about 12 s", ())
    assert "last 20 h" in found.lost
    assert found.lines[0].startswith("This restores the PostgreSQL of Repository hippo")


def test_the_command_makes_the_very_restore_that_is_told_of():
    """Taken as a shell takes it."""
    import shlex

    at = NOW - timedelta(hours=20)
    program, plugin, *words = shlex.split(moment.of(where(flags=("--context=it's",)), at, NOW).command)
    assert (program, plugin) == ("kubectl", "pgwarden")
    _, args = parser.parse(words)
    assert args.context == "it's"
    assert resources.restore(args, NOW)["spec"] == {"repository": "hippo", "target": {"time": "2026-11-22T16:00:00Z"}}


def test_the_latest_state_has_no_target():
    found = moment.of(where(), None, NOW)
    assert found.command == "kubectl pgwarden restore hippo -n ns"
    assert found.takes == ""


def test_a_moment_out_of_the_window_says_why_in_the_webhooks_words():
    (said,) = moment.of(where(), NOW - 30 * DAY, NOW).refused
    assert said.startswith("spec.target.time")


def test_the_slider_goes_from_the_first_moment_to_the_latest_state_in_whole_steps():
    found = moment.slider(repository(), None)
    assert found.value == found.latest
    assert (found.latest - found.least) % found.step == 0
    assert (found.latest - found.least) / found.step <= 2001
    least = moment.parse(str(found.least))
    assert not moment.of(where(), least, NOW).refused
    assert moment.of(where(), least, NOW).set


@pytest.mark.parametrize("text", ["yesterday", "2026-11-23", "2026-11-23 10:00:00", "-1", "9" * 12, "<b>"])
def test_what_is_no_time_is_not_taken(text):
    with pytest.raises(TargetError):
        moment.parse(text)


# --- the week -----------------------------------------------------------------------------------------------------


def test_the_week_has_each_run_in_order_with_the_schedules_own_clock():
    there = snapshot(schedule("nightly"), schedule("hourly", schedule="0 */12 * * *", timeZone="UTC", type="incr"))
    found = week.of(there, NOW)
    runs = [run for day in found.days for run in day.runs]
    assert len(runs) == 7 + 14
    assert [run.at.iso for run in runs] == sorted(run.at.iso for run in runs)
    assert runs[0].at.iso == "2026-11-24T00:00:00Z"
    assert {(run.name, run.local) for run in runs[:2]} == {
        ("nightly", "01:00 Europe/Berlin"),
        ("hourly", "00:00 UTC"),
    }
    assert found.until == ""


def test_what_runs_nothing_is_listed_with_the_reason():
    rejected = schedule("no") | {"status": {"phase": "Failed", "message": "bad"}}
    there = snapshot(schedule("rests", suspend=True), rejected, schedule("odd", schedule="every day"))
    found = week.of(there, NOW)
    assert found.days == ()
    assert {name: why for _, name, why in found.idle} == {
        "rests": "suspended",
        "no": "rejected: bad",
        "odd": '"every day" Europe/Berlin is no schedule',
    }


def test_a_list_without_room_says_where_it_ends():
    found = week.of(snapshot(schedule("often", schedule="* * * * *")), NOW)
    assert sum(len(day.runs) for day in found.days) == week.MOST
    assert found.until == "2026-11-23 20:21:00Z"


def test_the_week_of_a_thousand_is_bounded():
    there = snapshot(*thousand())
    began = time.process_time()
    week.of(there, NOW)
    assert time.process_time() - began < 1.0 * SLOWER


# --- drills -------------------------------------------------------------------------------------------------------


def test_drills_have_their_seconds_in_the_order_of_the_phases():
    found = drills.of(snapshot(drill(seconds={"checks": 20, "copy": 12, "other": 1, "replay": 3})), NOW)
    (one,) = found.shown
    assert one.seconds == (("copy", 12), ("replay", 3), ("checks", 20), ("other", 1))
    assert (one.total, one.copied, one.checks[0].outcome) == ("36 s", "22.3 MiB", "Passed")


def test_the_newest_drills_are_shown_and_the_others_counted():
    many = [drill(f"d{n}", startTime=f"2026-11-{1 + n % 20:02}T00:00:{n % 60:02}Z") for n in range(drills.MOST + 3)]
    found = drills.of(snapshot(*many), NOW)
    assert (len(found.shown), found.more) == (drills.MOST, 3)
    times = [one.at.iso for one in found.shown]
    assert times == sorted(times, reverse=True)


def test_a_status_of_any_shape_is_shown():
    """Of a kind whose schema is another version's."""
    odd = json.loads('{"status": {"seconds": "x", "checks": [1, {"name": 2}], "phase": 3, "lastDrills": {}}}')
    (one,) = drills.of(snapshot(plain("RestoreDrill", "d", repository="hippo") | odd), NOW).shown
    assert one.seconds == ()
    assert proof.of(repository(lastDrills={}, conditions="x"), [], NOW).word == ""
