"""Retention that is said in several places: whatever undoes another's is refused where it is made, in every order."""

from __future__ import annotations

from copy import deepcopy

import pytest

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.faults import Waits
from pgwarden.rules import retention, validate
from tests.unit.rules.conftest import NOW, Cluster, Object, build, said

WEEK, MONTH, DAYS = "--repo1-retention-full=7", "--repo1-retention-full=30", "--repo1-retention-full-type=time"


def repository(name: str = "hippo", *options: str, **spec: object) -> Object:
    wanted = {"storageType": "local", "options": list(options), "retention": {"full": 7}}
    return build("Repository", name, **wanted | spec)


def schedule(*options: str, name: str = "nightly", **spec: object) -> Object:
    wanted = {"repository": "hippo", "schedule": "0 1 * * *", "type": "full", "options": list(options)}
    return build("BackupSchedule", name, **wanted | spec)


def backup(*options: str, **spec: object) -> Object:
    return build("Backup", "now", repository="hippo", type="full", options=list(options), **spec)


def answer(obj: Object, *there: Object, old: Object | None = None, standing: bool = False):
    given = {"lookup": Cluster(*there), "now": NOW, "defaults": OperatorDefaults(), "standing": standing}
    return validate(obj, old=old, **given)


def refused(obj: Object, *there: Object, old: Object | None = None) -> str:
    return said(answer(obj, *there, old=old))


@pytest.mark.parametrize("obj", [schedule(MONTH), backup(MONTH)], ids=["a schedule", "a Backup"])
def test_more_than_the_repository_keeps_is_refused_with_both_ways_out(obj: Object):
    text = refused(obj, repository())
    assert text.startswith(
        'spec.options: "--repo1-retention-full=30": is more than the 7 full backups that Repository hippo keeps: '
    )
    assert text.endswith("; set spec.retention.full there to 30, or remove it here")
    assert refused(obj, repository(retention={"full": 30})) == ""


OTHERS = [
    ("full backups in options", ["--repo1-retention-full=3"], repository("hippo", "--repo1-retention-full=2", retention={}), "the 2 full backups"),
    ("diff backups", ["--repo1-retention-diff=5"], repository(retention={"full": 7, "diff": 2}), "the 2 diff backups"),
    ("days", [MONTH], repository(retention={"full": 14, "fullType": "time"}), "is more than the 14 days"),
    ("days beside a number", [MONTH, DAYS], repository(), "is not comparable with the 7 full backups"),
    ("days, by the type alone", [DAYS], repository(), "is not comparable with the 7 full backups"),
    ("WAL of more than is kept by default", ["--repo1-retention-archive=9"], repository(), "the 7 full backups with their WAL"),
    ("history", ["--repo1-retention-history=90"], repository("hippo", "--repo1-retention-history=30"), "the 30 days of history"),
    ("the second storage", ["--repo2-retention-full=9"], repository(storageType="local,s3"), "the 7 full backups"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "there", "words"), [row[1:] for row in OTHERS], ids=[row[0] for row in OTHERS])
def test_each_kind_of_retention_is_compared_with_the_same_of_the_repository(options, there, words):
    storage = {"storage": "s3"} if options[0].startswith("--repo2") else {}
    assert words in refused(schedule(*options, **storage), there)


@pytest.mark.parametrize(
    ("options", "there"),
    [
        ([WEEK], repository()),
        (["--repo1-retention-full=3"], repository(retention={"full": 7, "allowShorter": True})),
        ([MONTH], repository(retention={})),
        ([MONTH, DAYS], repository(retention={"full": 30, "fullType": "time"})),
        (["--repo1-retention-diff=5"], repository()),
    ],
    ids=["as many", "less, where that is allowed", "forever", "as many days", "diffs go with their full"],
)
def test_what_no_other_backup_undoes_is_admitted(options, there):
    assert refused(schedule(*options), there) == ""


LESS = [
    ("full backups", WEEK, {"retention": {"full": 30}}, "leaves 7 full backups in the storage, fewer than the 30 full backups of"),
    ("days", WEEK, {"retention": {"full": 30, "fullType": "time"}}, "leaves 7 days in the storage, fewer than the 30 days of"),
    ("diff backups", "--repo1-retention-diff=1", {"retention": {"full": 7, "diff": 2}}, "leaves 1 diff backup in the storage, fewer than the 2"),
    ("WAL", "--repo1-retention-archive=2", {}, "fewer than the 7 full backups with their WAL of"),
    ("WAL of days", "--repo1-retention-archive=2", {"retention": {"full": 30, "fullType": "time"}}, "fewer than the WAL of all its backups of"),
    ("in options", WEEK, {"retention": {}, "options": ["--repo1-retention-full=30"]}, "leaves 7 full backups"),
]  # fmt: skip


@pytest.mark.parametrize("make", [schedule, backup])
@pytest.mark.parametrize(("option", "spec", "words"), [row[1:] for row in LESS], ids=[row[0] for row in LESS])
def test_less_than_the_repository_keeps_is_refused_unless_it_allows_that(make, option: str, spec: Object, words: str):
    text = refused(make(option), repository(**spec))
    assert f'"{option}": each backup with it ' in text
    assert words in text
    assert text.endswith("; remove it, or set spec.retention.allowShorter there to true")
    allowed = repository(**spec | {"retention": spec.get("retention", {"full": 7}) | {"allowShorter": True}})
    assert refused(make(option), allowed) == ""


def test_a_repository_that_says_nothing_leaves_it_to_its_backups():
    assert refused(backup("--repo1-retention-full=1"), repository(retention={})) == ""


def made(*options: str, **status: object) -> Object:
    """A Backup that says it is a schedule's."""
    one = backup(*options)
    one["metadata"]["labels"] = {"pgwarden.io/schedule": "nightly"}
    return one | ({"status": status} if status else {})


def test_the_label_of_a_schedule_is_no_leave_to_keep_less():
    full = repository(retention={"full": 30})
    assert "fewer than the 30" in refused(made(WEEK), full)
    assert "fewer than the 30" in refused(made(WEEK), full, schedule())
    assert refused(made(WEEK), full, schedule(WEEK)) == ""


def test_a_schedule_that_keeps_less_and_stood_before_the_rule_goes_on_and_says_so():
    full, before = repository(retention={"full": 30}), schedule(WEEK)
    after = deepcopy(before) | {"spec": before["spec"] | {"schedule": "0 2 * * *"}}
    assert answer(before, full, standing=True).ok
    verdict = answer(after, full, before, old=before)
    assert (verdict.ok, any("fewer than the 30" in text for text in verdict.warnings)) == (True, True)
    (told,) = retention.told(full, [before])
    assert told.startswith("BackupSchedule nightly: --repo1-retention-full=7: each backup with it leaves 7 full")
    held = schedule(WEEK, suspend=True)
    resumed = deepcopy(held) | {"spec": held["spec"] | {"suspend": False}}
    assert "fewer than the 30" in refused(resumed, full, old=held)


def test_a_backup_that_was_taken_up_before_the_rule_goes_on():
    full, waiting = repository(retention={"full": 30}), [{"type": "Waiting", "reason": "AnotherBackup"}]
    (fault,) = answer(backup(WEEK), full, standing=True).faults
    assert fault.waits == Waits.RETENTION_SHORTER
    assert answer(backup(WEEK) | {"status": {"phase": "Pending", "conditions": waiting}}, full, standing=True).ok
    still = [{"type": "Waiting", "reason": "RetentionShorter"}]
    assert not answer(backup(WEEK) | {"status": {"phase": "Pending", "conditions": still}}, full, standing=True).ok


def test_less_than_the_repository_keeps_is_warned_of_where_it_allows_that():
    full = repository(retention={"full": 30, "allowShorter": True})
    (warning,) = [text for text in answer(schedule(WEEK), full).warnings if WEEK in text]
    assert "leaves 7 full backups in the storage, fewer than the 30 full backups of Repository hippo" in warning
    assert not any(WEEK in text for text in answer(schedule(WEEK), repository()).warnings)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [(WEEK, MONTH, "is more than the 7 full backups"), (MONTH, WEEK, "is less than the 30 full backups")],
    ids=["the larger one later", "the smaller one later"],
)
def test_a_schedule_that_undoes_another_ones_number_or_is_undone_is_refused(first: str, second: str, words: str):
    other = schedule(first, name="weekly")
    there = repository(retention={})
    assert f"{words} of BackupSchedule weekly: " in refused(schedule(second), there, other)
    assert refused(schedule(second), there, other | {"spec": other["spec"] | {"suspend": True}}) == ""
    assert refused(schedule(second), there, schedule(second, name="weekly")) == ""


UNDONE = [
    ("full backups", [WEEK], [MONTH], "is less than the 30 full backups"),
    ("days beside full backups", [WEEK, DAYS], [MONTH], "is not comparable with the 30 full backups"),
    ("diff backups", ["--repo1-retention-diff=1"], ["--repo1-retention-diff=4"], "is less than the 4 diff backups"),
    ("WAL of the full backups", ["--repo1-retention-archive=2"], [MONTH], "is less than the 30 full backups with their WAL"),
]  # fmt: skip


@pytest.mark.parametrize(("own", "other", "words"), [row[1:] for row in UNDONE], ids=[row[0] for row in UNDONE])
def test_a_backup_that_expires_what_a_schedule_keeps_is_refused_unless_the_repository_allows_it(own, other, words):
    there, nightly = repository(retention={}), schedule(*other)
    for one in (backup(*own), made(*own)):
        text = refused(one, there, nightly)
        assert f"{words} of BackupSchedule nightly: this backup expires what that one keeps" in text
        assert text.endswith("; remove it, or set spec.retention.allowShorter there to true")
    allowed = answer(backup(*own), repository(retention={"allowShorter": True}), nightly)
    assert (allowed.ok, any(words in text for text in allowed.warnings)) == (True, True)
    assert refused(backup(*own), there, schedule(*other, suspend=True)) == ""


def test_a_backup_that_expires_nothing_of_a_schedules_is_not_refused():
    there, nightly = repository(retention={}), schedule(WEEK)
    assert refused(backup(), there, nightly) == ""
    assert refused(backup(WEEK), there, nightly) == ""
    assert refused(backup("--repo1-retention-diff=1"), there, nightly) == ""
    more = answer(backup(MONTH), there, nightly)
    assert more.ok
    assert f"{MONTH}: is more than the 7 full backups of BackupSchedule nightly, whose next backup expires what this one keeps" in more.warnings  # fmt: skip


def test_a_backup_that_was_taken_up_before_the_schedule_came_goes_on():
    there, nightly = repository(retention={}), schedule(MONTH)
    running = backup(WEEK) | {"status": {"phase": "Running"}}
    assert answer(running, there, nightly, standing=True).ok
    (fault,) = answer(backup(WEEK), there, nightly, standing=True).faults
    assert fault.waits == Waits.RETENTION_SHORTER


def test_schedules_of_two_storages_do_not_meet():
    both = repository(storageType="local,s3", retention={})
    assert refused(schedule("--repo2-retention-full=7", storage="s3"), both, schedule(MONTH, name="weekly")) == ""


def test_a_number_for_the_storage_that_the_backup_does_not_go_to_is_said_to_have_no_effect():
    both = repository(storageType="local,s3")
    warnings = answer(schedule("--repo2-retention-full=7"), both).warnings
    assert any(
        text.startswith("--repo2-retention-full has no effect: the backup goes to storage local") for text in warnings
    )


def test_a_repository_that_comes_to_keep_less_than_a_schedule_is_refused():
    before, after = repository(retention={"full": 30}), repository()
    text = refused(after, before, schedule(MONTH), old=before)
    assert text == (
        "spec.retention.full: 7: is less than the 30 full backups that BackupSchedule nightly keeps "
        "(--repo1-retention-full=30): any other backup would expire them; keep 30 full backups here too, or change that "
        "schedule first"
    )
    assert refused(after, before, schedule(), old=before) == ""
    assert refused(after, before, schedule(MONTH, suspend=True), old=before) == ""


def test_so_is_a_new_one_for_a_schedule_that_was_there_before_it():
    assert "BackupSchedule nightly keeps" in refused(repository(), schedule(MONTH))


def test_so_is_the_one_of_a_cluster_at_the_path_that_the_user_wrote():
    cluster = build("PostgresCluster", "hippo", repository={"retention": {"full": 7}})
    assert refused(cluster, schedule(MONTH)).startswith("spec.repository.retention.full: 7: is less than the 30 full")


def test_the_way_out_for_a_clusters_repository_is_the_cluster():
    there = repository()
    there["metadata"]["ownerReferences"] = [{"kind": "PostgresCluster", "name": "hippo"}]
    assert "; set spec.repository.retention.full of PostgresCluster hippo to 30" in refused(schedule(MONTH), there)


def test_what_stood_before_the_rule_can_still_be_changed_and_is_told_of():
    before = schedule(MONTH)
    after = deepcopy(before) | {"spec": before["spec"] | {"schedule": "0 2 * * *"}}
    verdict = answer(after, repository(), before, old=before)
    assert verdict.ok
    assert any("is more than the 7 full backups" in text for text in verdict.warnings)
    wider, narrow = repository(archiveTimeout="5min"), repository()
    assert refused(wider, narrow, before, old=narrow) == ""
    (told,) = retention.told(narrow, [before])
    assert told == (
        "BackupSchedule nightly: --repo1-retention-full=30 is more than the 7 full backups that Repository hippo keeps, so "
        "the next other backup undoes it; set spec.retention.full there to 30, or remove it here"
    )


def test_a_schedule_that_goes_on_is_judged_as_a_new_one():
    held = schedule(MONTH, suspend=True)
    resumed = deepcopy(held) | {"spec": held["spec"] | {"suspend": False}}
    assert "is more than the 7" in refused(resumed, repository(), old=held)
    assert refused(deepcopy(held) | {"spec": held["spec"] | {"schedule": "0 2 * * *"}}, repository(), old=held) == ""


def test_what_the_api_server_has_goes_on_so_that_no_backup_is_missed():
    made = backup(MONTH)
    made["metadata"]["labels"] = {"pgwarden.io/schedule": "nightly"}
    assert answer(made, repository()).ok
    assert answer(schedule(MONTH), repository(), standing=True).ok
    assert answer(repository(), schedule(MONTH), standing=True).ok


def test_a_backup_that_came_past_the_webhook_waits_until_it_is_not_undone():
    (fault,) = answer(backup(MONTH), repository(), standing=True).faults
    assert fault.waits == Waits.RETENTION_UNDONE
    assert answer(backup(MONTH), repository(retention={"full": 30}), standing=True).ok


def test_two_schedules_that_stood_before_the_rule_are_told_of_once():
    there = repository(retention={})
    (told,) = retention.told(there, [schedule(WEEK, name="weekly"), schedule(MONTH)])
    assert told == (
        "BackupSchedule nightly: --repo1-retention-full=30 is more than the 7 full backups of BackupSchedule weekly, "
        "whose backups undo it"
    )
