"""What is refused of a Backup and of a BackupSchedule."""

from __future__ import annotations

import copy

import pytest

from tests.unit.contract import produced


def test_a_backup_of_a_repository_is_admitted_without_a_word(make, judge):
    verdict = judge(make("Backup", repository="hippo", type="incr"))
    assert (verdict.faults, verdict.warnings) == ([], [])


REPOSITORIES = [
    ("a slip", "hipo", "ns", "there is no Repository hipo in namespace ns; did you mean hippo?"),
    ("another namespace", "hippo", "apps", "there is no Repository hippo in namespace apps; create it first"),
    ("a stranger", "zebra", "ns", "there is no Repository zebra in namespace ns; available: hippo"),
    ("none at all", "zebra", "apps", "there is no Repository zebra in namespace apps; create it first"),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["Backup", "BackupSchedule", "Restore"])
@pytest.mark.parametrize(
    ("name", "namespace", "message"), [row[1:] for row in REPOSITORIES], ids=[row[0] for row in REPOSITORIES]
)
def test_an_unknown_repository_is_refused_with_what_there_is(make, judge, kind, name, namespace, message):
    spec = {"schedule": "0 1 * * *"} if kind == "BackupSchedule" else {}
    faults = judge(make(kind, namespace=namespace, repository=name, **spec)).faults
    assert [(fault.field, fault.message) for fault in faults] == [("spec.repository", message)]


def test_namespaces_with_such_a_repository_are_named_to_those_who_may_look(make, judge, cluster):
    cluster.present.append(make("Repository", "hippo", "payroll"))
    (fault,) = judge(make("Backup", namespace="apps", repository="hippo")).faults
    assert "payroll" not in str(fault)
    assert "but there is one in ns, payroll; a Repository" in fault.told(lambda *_: True).message
    assert "but there is one in ns; a Repository" in fault.told(lambda namespace, _: namespace == "ns").message


def test_a_storage_that_the_repository_has_not_is_refused(make, refusal):
    text = refusal(make("Backup", repository="hippo", storage="s3"))
    assert (
        text
        == 'spec.storage: "s3": Repository hippo has only storage local; omit spec.storage, or add s3 to its storageType'
    )


def test_options_are_held_to_the_storages_of_the_repository(make, refusal):
    text = refusal(
        make("Backup", repository="hippo", options=["--type=full --repo1-retention-full=7 --repo2-retention-full=7"])
    )
    assert (
        text
        == 'spec.options[0]: "--repo2-retention-full=7": there is no storage 2; this Repository has only repo1 (local)'
    )


def test_a_backup_cannot_be_changed_but_its_labels_and_its_deletion_policy_can(make, refusal):
    old = make("Backup", repository="hippo", type="incr")
    new = copy.deepcopy(old)
    new["spec"]["type"] = "full"
    assert refusal(new, old) == "spec: a Backup cannot be changed, except for its deletionPolicy; create another Backup"
    new = copy.deepcopy(old)
    new["metadata"]["labels"] = {"a": "b"}
    assert refusal(new, old) == ""
    new["spec"]["deletionPolicy"] = "Delete"
    assert refusal(new, old) == ""
    new["spec"]["deletionPolicy"] = "Shred"
    assert refusal(new, old) == 'spec.deletionPolicy: "Shred": must be one of Retain, Delete'


@pytest.mark.parametrize("kind", ["Backup", "BackupSchedule", "Restore"])
def test_finalizers_can_be_removed_when_the_repository_is_gone(make, judge, cluster, kind):
    cluster.present.clear()
    old = make(kind, repository="hippo", schedule="bad")
    old["metadata"]["finalizers"] = ["x"]
    assert judge(make(kind, repository="hippo", schedule="bad"), old).ok


def test_an_object_that_is_being_deleted_is_left_alone(make, judge):
    old = make("Repository", "a")
    old["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z"
    assert judge(make("Repository", "a", storageType="gcs"), old).ok


@pytest.mark.parametrize("options", [[], ["--type=diff"]], ids=["incr", "diff by option"])
def test_a_first_backup_that_becomes_a_full_one_is_announced(make, judge, hippo, options):
    hippo["status"] = produced.repository([])["status"]
    (warning,) = judge(make("Backup", repository="hippo", options=options)).warnings
    assert warning.startswith("Repository hippo has no full backup yet: pgBackRest takes a full backup instead of ")
    assert judge(make("Backup", repository="hippo", type="full")).warnings == []


@pytest.mark.parametrize(
    ("phase", "announced"), [(None, False), ("Pending", False), ("Running", False), ("Failed", True)], ids=str
)
def test_behind_a_full_backup_that_is_coming_nothing_is_announced(make, judge, hippo, cluster, phase, announced):
    hippo["status"] = produced.repository([])["status"]
    first = make("Backup", "first", repository="hippo", type="full")
    cluster.present.append(first | {"status": {"phase": phase} if phase else {}})
    assert bool(judge(make("Backup", repository="hippo")).warnings) is announced


def schedule(make, **spec):
    return make("BackupSchedule", **({"repository": "hippo", "schedule": "0 1 * * *", "type": "full"} | spec))


def test_an_accepted_schedule_is_answered_with_its_next_three_runs_in_its_zone(make, judge):
    verdict = judge(schedule(make, timeZone="Europe/Zurich"))
    assert verdict.faults == []
    assert verdict.warnings == [
        "next backups: Tue 2026-11-24 01:00, Wed 2026-11-25 01:00, Thu 2026-11-26 01:00 (Europe/Zurich)"
    ]


def test_the_next_runs_are_those_after_windows_and_spread(make, judge):
    window = {"schedule": "0 0 * * *", "duration": "3h"}
    (note,) = judge(schedule(make, notDuring=[window])).warnings
    assert note == "next backups: Tue 2026-11-24 03:00, Wed 2026-11-25 03:00, Thu 2026-11-26 03:00 (UTC)"
    (note,) = judge(schedule(make, spread="30m")).warnings  # it has no uid yet: by how much is not known
    assert note.endswith("Thu 2026-11-26 01:00 (UTC), each by up to 30m later")
    known = schedule(make, spread="30m")
    known["metadata"]["uid"] = "u-1"
    (note,) = judge(known).warnings
    assert note.startswith("next backups: Tue 2026-11-24 01:")
    assert "later" not in note
    assert "01:00," not in note


def test_seconds_are_shown_where_there_are_any(make, judge):
    (warning,) = judge(schedule(make, schedule="30 0 1 * * *")).warnings
    assert warning.startswith("next backups: Tue 2026-11-24 01:00:30, ")


def test_a_bad_expression_has_one_fault_for_each_field_and_none_from_the_pattern(make, judge):
    faults = judge(schedule(make, schedule="61 1 # * 7")).faults
    assert [(fault.field, fault.value) for fault in faults] == [("spec.schedule", part) for part in ("61", "#", "7")]


ZONES = [
    ("Zurich", "is not an IANA time zone such as UTC or Europe/Zurich; did you mean Europe/Zurich?"),
    ("europe/zurich", "is not an IANA time zone such as UTC or Europe/Zurich; did you mean Europe/Zurich?"),
    ("../../etc/passwd", "is not an IANA time zone such as UTC or Europe/Zurich"),
    ("localtime", "is not an IANA time zone such as UTC or Europe/Zurich"),
]


@pytest.mark.parametrize(("zone", "message"), ZONES, ids=[row[0] for row in ZONES])
def test_a_zone_is_looked_up_in_a_list_and_never_as_a_path(make, judge, zone, message):
    faults = judge(schedule(make, timeZone=zone)).faults
    assert [(fault.field, fault.message) for fault in faults] == [("spec.timeZone", message)]


def test_keeping_backups_forever_is_warned_of(make, judge, hippo):
    del hippo["spec"]["retention"]
    warned = judge(schedule(make)).warnings
    assert (
        "backups of Repository hippo are kept forever: set spec.retention there, or --repo1-retention-full here"
        in warned
    )
    for cure in ({"options": ["--repo1-retention-full=21"]},):
        assert not any("forever" in text for text in judge(schedule(make, **cure)).warnings)


def test_schedules_without_any_full_backup_are_warned_of(make, judge, cluster):
    lonely = schedule(make, type="incr")
    assert any(
        text.startswith("no BackupSchedule of Repository hippo makes full backups") for text in judge(lonely).warnings
    )
    cluster.present.append(schedule(make, name="nightly", options=["--type=full"], type="incr"))
    assert not any("makes full backups" in text for text in judge(lonely).warnings)


def test_a_suspended_schedule_is_said_to_be_one(make, judge):
    assert (
        "the schedule is suspended: no backups are created until spec.suspend is false"
        in judge(schedule(make, suspend=True)).warnings
    )
