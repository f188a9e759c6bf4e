"""status: what is wrong, said; what is shown of backups; what a restore takes away."""

import copy
from datetime import timedelta

import pytest

from pgwarden.cli import data_loss, show, status
from pgwarden.cli.protection import judge
from tests.unit.cli.conftest import NOW


@pytest.fixture
def there(make, healthy):
    def build(*objects, **changes):
        """A healthy Repository hippo with *changes* to its status, and *objects* besides."""
        base = make("Repository", "hippo", status=healthy | changes, retention={"full": 7})
        found = {"repositories": [base], "backups": [], "backupschedules": [], "restores": []}
        plurals = {
            "Backup": "backups",
            "BackupSchedule": "backupschedules",
            "Restore": "restores",
            "Repository": "repositories",
        }
        for obj in objects:
            found[plurals[obj["kind"]]].append(obj)
        return found

    return build


@pytest.fixture
def schedule(make):
    def build(name="nightly", next_run="2026-11-24T01:00:00Z", suspend=False, **more):
        known = {"phase": "Active", "nextScheduleTimes": [next_run], "lastScheduleTime": "2026-11-23T01:00:00Z"}
        return make(
            "BackupSchedule", name, status=known | more, repository="hippo", schedule="0 1 * * *", suspend=suspend
        )

    return build


def test_all_is_well(there, schedule):
    (one,) = judge(there(schedule()), NOW)
    assert (one.wrong, one.notes) == ((), ())
    assert status.as_text(one, NOW) == [
        "hippo: protected since 2026-11-01 00:10:00Z (22 d 11 h), up to 2026-11-23 11:55:00Z (5 min ago)",
        "  last backup  diff 20261101-000000F_20261105-000000D, 2026-11-05 00:10:00Z",
        "  next backup  2026-11-24 01:00:00Z",
    ]


def condition(kind, status, message):
    return {"type": kind, "status": status, "reason": "R", "message": message}


WRONG = {
    "archiving has stopped": (
        {
            "conditions": [
                condition("Ready", "True", ""),
                condition("Reachable", "True", ""),
                condition("Archiving", "False", "it fails"),
            ]
        },
        "Archiving is False: it fails",
    ),
    "no condition at all": ({"conditions": []}, "Ready is Unknown: not known"),
    "no backup": ({"recoveryWindow": [], "backups": []}, "there is no finished backup: nothing can be recovered"),
    "a pod without the sidecar": (
        {"pods": [{"name": "hippo-1", "injected": False}]},
        "pod hippo-1 is not injected: put the label",
    ),
    "a pod with a problem": ({"pods": [{"name": "hippo-1", "message": "is away"}]}, "pod hippo-1: is away"),
    "damaged pages": (
        {"backups": [{"label": "20261101-000000F", "error": True}]},
        "backup set 20261101-000000F has pages",
    ),
}


@pytest.mark.parametrize(("changes", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_repository_is_said(there, schedule, changes, said):
    (one,) = judge(there(schedule(), **changes), NOW)
    assert any(said in text for text in one.wrong)


def test_one_cause_is_said_once(there, schedule):
    both = [condition("Ready", "False", "the host is away"), condition("Reachable", "False", "the host is away")]
    (one,) = judge(there(schedule(), conditions=[*both, condition("Archiving", "True", "")]), NOW)
    assert one.wrong == ("Ready is False: the host is away",)


def test_a_repository_that_nobody_looked_at(make):
    everything = {"repositories": [make("Repository", "hippo")], "backups": [], "backupschedules": [], "restores": []}
    (one,) = judge(everything, NOW)
    assert one.wrong == ("pgwarden has not reported on it yet: is its controller running?",)
    assert status.as_text(one, NOW)[0] == "hippo: NOT PROTECTED"


def test_only_the_last_outcome_counts(there, make, schedule):
    def backup(name, phase, ended):
        known = {"phase": phase, "completionTime": ended, "message": "ERROR: [028]"}
        return make("Backup", name, status=known, repository="hippo")

    old, new = backup("a", "Failed", "2026-11-22T01:00:00Z"), backup("b", "Completed", "2026-11-23T01:00:00Z")
    assert judge(there(schedule(), old, new), NOW)[0].wrong == ()
    newest = backup("c", "Failed", "2026-11-23T02:00:00Z")
    assert judge(there(schedule(), old, new, newest), NOW)[0].wrong == ("the last Backup, c, failed: ERROR: [028]",)


@pytest.mark.parametrize("reason", ["Record", "RecordUnfinished"])
@pytest.mark.parametrize("kind", ["Backup", "Restore"])
def test_the_record_of_an_earlier_failure_is_no_failure(there, make, schedule, kind, reason):
    known = {"phase": "Failed", "completionTime": "2026-11-23T02:00:00Z", "reason": reason, "message": "a record: …"}
    assert judge(there(schedule(), make(kind, "back", status=known, repository="hippo")), NOW)[0].wrong == ()


def test_a_failed_restore_names_its_step(there, make, schedule):
    known = {
        "phase": "Failed",
        "completionTime": "2026-11-23T01:00:00Z",
        "step": "Recovered",
        "message": "no such target",
    }
    (one,) = judge(there(schedule(), make("Restore", "r", status=known, repository="hippo")), NOW)
    assert one.wrong == ("the last Restore, r, failed at step Recovered: no such target",)


SCHEDULES = {
    "overdue": ({"next_run": "2026-11-23T11:00:00Z"}, "nightly is overdue since 2026-11-23 11:00:00Z (1 h)"),
    "refused": ({"phase": "Failed"}, "BackupSchedule nightly is rejected"),
    "missed": (
        {"missed": [{"time": "2026-11-23T02:00:00Z", "reason": "too late"}]},
        "nightly missed its run of 2026-11-23 02:00:00Z: too late",
    ),
}


@pytest.mark.parametrize(("changes", "said"), SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_that_does_not_run_is_wrong(there, schedule, changes, said):
    assert any(said in text for text in judge(there(schedule(**changes)), NOW)[0].wrong)


def test_a_missed_run_is_forgiven_by_the_next_one(there, schedule):
    missed = [{"time": "2026-11-22T01:00:00Z", "reason": "too late"}]
    assert judge(there(schedule(missed=missed)), NOW)[0].wrong == ()


def test_what_is_not_wrong_but_worth_knowing_is_a_note(there, schedule):
    (one,) = judge(there(schedule(suspend=True, next_run="2026-11-01T00:00:00Z")), NOW)
    assert (one.wrong, one.notes) == ((), ("BackupSchedule nightly is suspended",))
    assert judge(there(), NOW)[0].notes == ("there is no BackupSchedule: backups are taken by hand only",)


def test_namespaces_are_kept_apart(there, make):
    known = {"phase": "Failed", "completionTime": "2026-11-23T01:00:00Z"}
    other = make("Backup", "b", "elsewhere", status=known, repository="hippo")
    assert judge(there(other), NOW)[0].wrong == ()


def test_json_says_the_same(there, schedule):
    (one,) = judge(there(schedule(), recoveryWindow=[]), NOW)
    data = status.as_data(one)
    assert (data["protected"], data["since"], data["nextBackup"]) == (False, None, "2026-11-24T01:00:00Z")
    assert data["wrong"] == ["there is no finished backup: nothing can be recovered"]


def test_show_backup_draws_the_window_and_lists_what_made_no_set(make, healthy, terminal):
    running = make("Backup", "now", status={"phase": "Running", "message": "Job runs"}, repository="hippo", type="incr")
    repository = make("Repository", "hippo", status=healthy)
    lines = show.of_repository(repository, [running], terminal, ascii_only=True, now=NOW)
    text = "\n".join(lines)
    assert lines[0] == "Repository hippo"
    assert "storage local: any moment from 2026-11-01 00:10:00Z" in text
    assert lines[4].strip() == "F            D"
    assert "20261101-000000F_20261105-000000D  diff  local    2026-11-05 00:10:00Z" in text
    assert "now     incr  Running  -        -\n  now: Job runs" in text
    assert text.isascii()


def test_without_a_backup_nothing_is_drawn(make, terminal):
    lines = show.of_repository(make("Repository", "hippo", status={}), [], terminal, ascii_only=True, now=NOW)
    assert lines == ["Repository hippo", "", "nothing can be recovered: there is no finished backup"]


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
    "kept": ({}, ["kept; the claim's new name ends in -before-rewind"]),
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


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        ("Pending", "BackupSchedule nightly waits: there is no Repository hippo"),
        ("Degraded", "BackupSchedule nightly still runs, but a rule now rejects it: newer"),
        ("Failed", "BackupSchedule nightly is rejected: newer"),
    ],
)
def test_a_schedule_that_waits_or_is_rejected_is_reported_with_its_reason(there, schedule, phase, said):
    rejected = [condition("Rejected", "True", "newer")] if phase != "Pending" else []
    one = schedule(phase=phase, message="there is no Repository hippo", conditions=rejected)
    (found,) = judge(there(one), NOW)
    assert found.wrong == (said,)
