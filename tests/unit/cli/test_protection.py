"""status: what is wrong, said; what is shown of backups; errors on one line."""

from datetime import timedelta

import pytest

from pgwarden.cli import show, show_restore, status
from pgwarden.cli.protection import judge
from pgwarden.cli.short_messages import brief, described
from tests.unit.cli.conftest import NOW


def test_all_is_well(there, schedule):
    (one,) = judge(there(schedule()), NOW)
    assert (one.wrong, one.notes) == ((), ())
    assert status.as_text(one, NOW) == [
        "hippo: protected since 2026-11-01 00:10:00Z (22 d 11 h), up to 2026-11-23 11:55:00Z (5 min ago)",
        "  last backup  diff 20261101-000000F_20261105-000000D, 2026-11-05 00:10:00Z",
        "  next backup  2026-11-24 01:00:00Z",
    ]


PROOF = {
    "name": "d-1", "uid": "u", "endedAt": "2026-11-20T12:00:00Z", "phase": "Completed", "reason": "Completed",
    "set": "20261101-000000F", "storage": "local", "recoveredTo": "2026-11-20 11:59:00+00", "seconds": 83,
}  # fmt: skip


def test_what_was_proven_last_is_told_and_a_drill_that_failed_since_is_wrong(there, schedule):
    failed = PROOF | {"name": "d-2", "endedAt": "2026-11-21T12:00:00Z", "phase": "Failed"}
    verdict = condition("Proven", "False", "RestoreDrill d-2 failed at 2026-11-21 12:00:00Z: rows: it is f")
    (one,) = judge(there(schedule(), conditions=[*ARCHIVES, verdict], lastDrills=[failed, PROOF]), NOW)
    proven = (
        "  proven       2026-11-20 12:00:00Z (3 d ago): restored set 20261101-000000F from storage local up to "
        "2026-11-20 11:59:00+00 in 1 min 23 s"
    )
    assert proven in status.as_text(one, NOW)
    assert one.wrong == ("not proven: RestoreDrill d-2 failed at 2026-11-21 12:00:00Z: rows: it is f",)
    assert status.as_data(one)["lastProof"] == PROOF


def test_a_schedule_of_drills_that_missed_its_run_or_waits_is_wrong(make, there, schedule):
    missed = {
        "missed": [{"time": "2026-11-22T04:00:00Z", "reason": "PreviousDrillNotOver:weekly-1"}],
        "phase": "Active",
    }
    one = make("RestoreDrillSchedule", "weekly", status=missed, repository="hippo", schedule="0 4 * * 0")
    (found,) = judge(there(schedule(), one), NOW)
    (text,) = found.wrong
    assert text.startswith("RestoreDrillSchedule weekly missed its run of 2026-11-22 04:00:00Z: ")
    assert text.endswith("RestoreDrill weekly-1 of an earlier run was still going on")
    waits = make("RestoreDrillSchedule", "weekly", status={"phase": "Pending", "message": "no"}, repository="hippo")
    (found,) = judge(there(schedule(), waits), NOW)
    assert found.wrong == ("RestoreDrillSchedule weekly is waiting: no",)


def test_that_no_drill_has_passed_is_told_and_is_no_fault(there, schedule):
    (one,) = judge(there(schedule(), conditions=[*ARCHIVES, condition("Proven", "Unknown", "no drill")]), NOW)
    assert "  proven       never: no RestoreDrill has passed" in status.as_text(one, NOW)
    assert one.wrong == ()
    assert status.as_data(one)["lastProof"] is None


def condition(kind, status, message):
    return {"type": kind, "status": status, "reason": "R", "message": message}


ARCHIVES = [condition(kind, "True", "") for kind in ("Ready", "Reachable", "Archiving")]
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
    "WAL that is missing": (
        {"conditions": [*ARCHIVES, condition("WALContinuous", "False", "WAL segment 3 is missing")]},
        "WALContinuous is False: WAL segment 3 is missing",
    ),
    "no condition at all": ({"conditions": []}, "Ready is Unknown: not known"),
    "no backup": ({"recoveryWindow": [], "backups": []}, "there is no finished backup: nothing can be recovered"),
    "a pod without the sidecar": (
        {"pods": [{"name": "hippo-1", "injected": False}]},
        "pod hippo-1 is not injected: put the label",
    ),
    "a pod with a problem": ({"pods": [{"name": "hippo-1", "message": "is away"}]}, "pod hippo-1: is away"),
    "a replica that Kubernetes refuses beside a primary that archives": (
        {"phase": "Degraded", "reason": "PodRefused", "message": "Kubernetes creates no pod of postgres: quota"},
        "the Repository is Degraded: Kubernetes creates no pod of postgres: quota",
    ),
    "an object that Kubernetes does not take": (
        {"phase": "Degraded", "reason": "KubernetesRefuses", "message": "pods is forbidden"},
        "the Repository is Degraded: pods is forbidden",
    ),
    "whatever comes to be a cause": (
        {"phase": "Degraded", "reason": "New", "message": "it is new"},
        "the Repository is Degraded: it is new",
    ),
    "damaged pages": (
        {"backups": [{"label": "20261101-000000F", "error": True}]},
        "backup set 20261101-000000F has pages",
    ),
}


@pytest.mark.parametrize(("changes", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_repository_is_said(there, schedule, changes, said):
    (one,) = judge(there(schedule(), **changes), NOW)
    assert any(said in text for text in one.wrong)
    assert status.as_data(one)["protected"] is False
    assert "protected since" not in status.as_text(one, NOW)[0]


def test_with_anything_wrong_the_first_line_says_at_risk_and_what_can_be_recovered(there, schedule):
    (one,) = judge(there(schedule(), pods=[{"name": "hippo-1", "message": "is away"}]), NOW)
    assert status.as_text(one, NOW)[0] == (
        "hippo: AT RISK, recoverable from 2026-11-01 00:10:00Z (22 d 11 h), up to 2026-11-23 11:55:00Z (5 min ago)"
    )
    data = status.as_data(one)
    assert (data["protected"], data["since"]) == (False, "2026-11-01T00:10:00Z")
    assert status.as_data(judge(there(schedule()), NOW)[0])["protected"] is True


def test_what_another_cluster_has_stored_protects_nothing(there, schedule):
    mismatch = "the repository belongs to PostgreSQL cluster 7, and pod hippo-0 is cluster 8"
    failed = [condition("Ready", "False", mismatch), condition("Reachable", "True", "")]
    (one,) = judge(there(schedule(), phase="Failed", message=mismatch, conditions=failed), NOW)
    assert status.as_text(one, NOW)[0] == "hippo: NOT PROTECTED"
    assert status.as_data(one)["protected"] is False


@pytest.mark.parametrize("reason", ["PodRefused", "NoPrimary"])
def test_what_a_condition_or_the_cluster_says_is_not_said_again_of_the_phase(there, make, schedule, reason):
    refused = "Kubernetes creates no pod of StatefulSet postgres: exceeded quota"
    known = {"phase": "Degraded", "reason": reason, "message": refused}
    conditions = [*ARCHIVES[:2], condition("Archiving", "False", refused)]
    found = there(schedule(), conditions=conditions, **known)
    assert judge(found, NOW)[0].wrong == (f"Archiving is False: {refused}",)
    found["postgresclusters"] = [make("PostgresCluster", "hippo", status=known)]
    assert judge(found, NOW)[0].wrong == (f"PostgresCluster hippo is Degraded: {refused}",)
    found["postgresclusters"][0]["status"]["message"] = "another cause"
    found["repositories"][0]["status"]["conditions"] = ARCHIVES
    said = ("PostgresCluster hippo is Degraded: another cause", f"the Repository is Degraded: {refused}")
    assert judge(found, NOW)[0].wrong == said


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


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        ("Pending", "BackupSchedule nightly is waiting: there is no Repository hippo"),
        ("Degraded", "BackupSchedule nightly still runs, but a rule now rejects it: newer"),
        ("Failed", "BackupSchedule nightly is rejected: newer"),
    ],
)
def test_a_schedule_that_waits_or_is_rejected_is_reported_with_its_reason(there, schedule, phase, said):
    rejected = [condition("Rejected", "True", "newer")] if phase != "Pending" else []
    one = schedule(phase=phase, message="there is no Repository hippo", conditions=rejected)
    (found,) = judge(there(one), NOW)
    assert found.wrong == (said,)


#: What pgBackRest writes where the stanza of a storage is being made, and what S3 being down looks like.
FILE_MISSING = (
    "unable to load info file '/archive/hippo/archive.info' or '/archive/hippo/archive.info.copy': "
    "FileMissingError: unable to open missing file HINT: archive.info cannot be opened but is required to push/get WAL "
    "segments. HINT: is archive_command configured correctly in postgresql.conf? HINT: has a stanza-create been performed?"
)
MESSAGES = {
    "a short one": ("is away", "is away"),
    "hints": (f"x: storage s3: {FILE_MISSING}", f"x: storage s3: {FILE_MISSING.partition(' HINT')[0]}"),
    "a storage twice": (
        f"x: storage s3: {FILE_MISSING}; storage s3: cannot connect; storage local: also",
        f"x: storage s3: {FILE_MISSING.partition(' HINT')[0]}; storage local: also",
    ),
    "many lines": ("a\n  b\n\nc", "a b c"),
    "more than a line holds": ("x" * 500, "x" * 239 + "…"),
    "nothing": (None, ""),
}


@pytest.mark.parametrize(("message", "said"), MESSAGES.values(), ids=MESSAGES)
def test_a_message_is_one_line_with_each_storage_once_and_without_hints(message, said):
    assert brief(message) == said


def test_what_was_left_out_is_behind_describe(make):
    repository = make("Repository", "hippo")
    assert described(repository, "is away") == "is away"
    assert described(repository, f"a. {FILE_MISSING}").endswith("(all of it: kubectl describe pgrepo hippo -n zoo)")


def test_status_tells_an_error_of_pgbackrest_on_one_line(there, schedule):
    text = f"archive_command fails; storage s3: {FILE_MISSING}; storage s3: {FILE_MISSING}"
    failing = [
        condition("Ready", "True", ""),
        condition("Reachable", "True", ""),
        condition("Archiving", "False", text),
    ]
    (said,) = judge(there(schedule(), conditions=failing), NOW)[0].wrong
    assert "HINT" not in said
    assert said.count("storage s3") == 1
    assert said.endswith("(all of it: kubectl describe pgrepo hippo -n zoo)")


def test_show_repository_tells_it_on_one_line_too(make, terminal):
    known = {"conditions": [condition("Archiving", "False", FILE_MISSING)]}
    lines = show._repositories([make("Repository", "hippo", status=known)], [], None, terminal)
    assert lines[1].startswith("  Archiving False: unable to load info file")
    assert "HINT" not in lines[1]


def test_the_cause_is_told_once_whoever_repeats_it(there, make, schedule):
    """By the cluster, by Ready, by Reachable: 250 characters of the same."""
    cause = "storage s3: the secret key does not belong to the access key"
    conditions = [
        *(condition(kind, "False", cause) for kind in ("Ready", "Reachable")),
        condition("Archiving", "Unknown", "unknown while storage s3 cannot be read"),
    ]
    found = there(schedule(), conditions=conditions)
    known = {"phase": "Degraded", "message": f"Repository: {cause}"}
    found["postgresclusters"] = [make("PostgresCluster", "hippo", status=known)]
    assert judge(found, NOW)[0].wrong == (
        f"PostgresCluster hippo is Degraded: Repository: {cause}",
        "Archiving is Unknown: unknown while storage s3 cannot be read",
    )


def test_a_pod_that_is_not_injected_has_one_line_that_names_the_template(there, schedule):
    said = "pgwarden is not injected; put the label into the workload's pod template, or delete the pod if it has it"
    pods = [{"name": "hippo-0", "injected": False, "message": said}]
    conditions = [condition("Ready", "False", f"no primary: pod hippo-0: {said}"), condition("Reachable", "True", "")]
    conditions.append(condition("Archiving", "Unknown", f"no primary: pod hippo-0: {said}"))
    wrong = judge(there(schedule(), conditions=conditions, pods=pods), NOW)[0].wrong
    assert wrong[0] == "Ready is False: no primary: pod hippo-0: not injected"
    assert "put the label pgwarden.io/repository on the pod template of its workload" in wrong[1]
    assert len(wrong) == 2


MISSED = {
    "PreviousBackupNotOver:nightly-1": "Backup nightly-1 of an earlier run was still going on",
    "CaughtUpByLaterRun": "a later run took its place",
    "SomethingNew": "SomethingNew",
}


@pytest.mark.parametrize(("reason", "said"), MISSED.items(), ids=MISSED)
def test_why_a_run_was_missed_is_told_in_words(there, schedule, reason, said):
    missed = [{"time": "2026-11-23T02:00:00Z", "reason": reason}]
    text = f"BackupSchedule nightly missed its run of 2026-11-23 02:00:00Z: {said}"
    assert judge(there(schedule(missed=missed)), NOW)[0].wrong == (text,)


def test_retention_that_is_not_set_names_its_field(there, schedule, make):
    found = there(schedule())
    del found["repositories"][0]["spec"]["retention"]
    assert judge(found, NOW)[0].notes == ("no retention is set, so backups are kept forever: set spec.retention.full",)
    found["postgresclusters"] = [make("PostgresCluster", "hippo", status={"phase": "Ready"})]
    assert judge(found, NOW)[0].notes[0].endswith("set spec.repository.retention.full of the PostgresCluster")


def test_a_schedule_that_keeps_more_than_its_repository_is_told_of(there, schedule):
    """It stood before the rule, or came past the webhook."""
    kept = schedule()
    kept["spec"]["options"] = ["--repo1-retention-full=21"]
    (text,) = judge(there(kept), NOW)[0].wrong
    assert text.startswith(
        "BackupSchedule nightly: --repo1-retention-full=21 is more than the 7 full backups that Repo"
    )
    kept["spec"]["suspend"] = True
    assert judge(there(kept), NOW)[0].wrong == ()


def test_a_repository_without_pods_says_where_the_label_belongs(there, schedule):
    """A label on the workload, or a misspelt one, is found by nothing else."""
    away = [{"type": "Archiving", "status": "Unknown", "reason": "NoPrimary", "message": "no pod carries the label"}]
    (note,) = judge(there(schedule(), conditions=away, pods=[]), NOW)[0].notes
    assert note.startswith("the label must be on the pod template: `kubectl pgwarden protect statefulset/NAME --repo")
    assert judge(there(schedule(), conditions=away, pods=[{"name": "postgres-0"}]), NOW)[0].notes == ()


def test_a_quiet_server_is_told_what_is_not_archived(there, schedule):
    later = NOW + timedelta(hours=1)
    assert judge(there(schedule()), later)[0].notes == (
        (
            "no WAL was archived for 1 h 5 min: commits since then are on the data volume only; "
            "archive_timeout of PostgreSQL limits this"
        ),
    )


def test_sentences_stand_below_the_tables(make):
    known = {"phase": "Failed", "step": "Restored", "message": "m" * 300, "keptClaim": "data-before-r"}
    lines = show_restore.lines([make("Restore", "r", status=known, repository="hippo")], NOW, whole=False)
    assert max(map(len, lines[:2])) <= 100
    assert lines[2].startswith("  r: mmm")
    assert lines[3] == "  r: the old data is kept as claim data-before-r"


def test_a_kept_claim_is_named_once_and_times_look_alike(make):
    known = {
        "phase": "Completed",
        "startTime": "2026-11-28T19:52:39Z",
        "recoveredTo": "2026-11-28T19:51:53.800537Z",
        "message": "recovered; the old data is kept as claim data-before-r",
        "keptClaim": "data-before-r",
    }
    lines = show_restore.lines([make("Restore", "r", status=known, repository="hippo")], NOW, whole=False)
    assert lines[1].endswith("2026-11-28 19:52:39Z  2026-11-28 19:51:53Z")
    assert lines[2:] == ["  r: recovered; the old data is kept as claim data-before-r"]


def test_a_cluster_that_is_rejected_does_not_hide_what_is_wrong_with_its_repository(there, make, schedule):
    """Of a cluster only what is said counts as said."""
    found = there(schedule(), conditions=[condition("Ready", "False", "the host is away")])
    rejected = [condition("Rejected", "True", "spec.instances: too many")]
    known = {"phase": "Failed", "message": "Repository: the host is away", "conditions": rejected}
    found["postgresclusters"] = [make("PostgresCluster", "hippo", status=known)]
    assert judge(found, NOW)[0].wrong[:2] == (
        "PostgresCluster hippo is rejected: spec.instances: too many",
        "Ready is False: the host is away",
    )
