"""What is refused of a Restore. The Repository's window: 1 November 00:10 to 20 November; it is 23 November, 12:00."""

from __future__ import annotations

import copy

import pytest

from pgwarden.api.reasons import HELD, NO_PRIMARY

TARGETS = [
    ("inside the window", {"time": "2026-11-15T10:00:00Z"}, ""),
    ("PostgreSQL's form", {"time": "2026-11-15 10:00:00.5+01"}, ""),
    ("after the window while archiving", {"time": "2026-11-23T11:59:59Z"}, ""),
    ("the beginning of the window", {"time": "2026-11-01T01:10:00+01:00"}, ""),
    ("without a zone", {"time": "2026-11-15 10:00:00"}, 'spec.target.time: "2026-11-15 10:00:00": has no time zone; write 2026-11-15 10:00:00Z for UTC, or an offset such as 2026-11-15 10:00:00+01:00'),
    ("not a time", {"time": "yesterday"}, 'spec.target.time: "yesterday": must be a time such as 2026-11-23T10:00:00Z or 2026-11-23 10:00:00+00'),
    ("not in the calendar", {"time": "2026-02-30T10:00:00Z"}, 'spec.target.time: "2026-02-30T10:00:00Z": is not a valid date and time (day is out of range for month)'),
    ("in the future", {"time": "2036-11-15T10:00:00Z"}, 'spec.target.time: "2036-11-15T10:00:00Z": is in the future (now: 2026-11-23T12:00:00Z); omit target for the latest WAL'),
    ("before the window", {"time": "2026-11-01T00:09:59Z"}, 'spec.target.time: "2026-11-01T00:09:59Z": is before 2026-11-01T00:10:00Z, the earliest time that Repository hippo can recover to'),
    ("a position", {"lsn": "0/9000000"}, ""),
    ("a position before the window", {"lsn": "0/3000059"}, 'spec.target.lsn: "0/3000059": is before 0/3000060, the end of the oldest usable backup; choose a later position'),
    ("no position", {"lsn": "0-3000060"}, 'spec.target.lsn: "0-3000060": must be a WAL position such as 0/3000060'),
    ("a transaction", {"xid": "1234"}, ""),
    ("a transaction with its epoch", {"xid": "4294968530"}, ""),
    ("no transaction", {"xid": "0x12"}, 'spec.target.xid: "0x12": must be a transaction ID, such as 1234'),
    ("a frozen transaction", {"xid": "2"}, 'spec.target.xid: "2": is not a transaction ID: IDs start at 3 and fit in 64 bits'),
    ("a restore point", {"name": "before-upgrade"}, ""),
    ("a long restore point", {"name": "ü" * 32}, f'spec.target.name: "{"ü" * 32}": must have at most 63 bytes, not 64'),
    ("immediate", {"immediate": True}, ""),
    ("two", {"xid": "1234", "immediate": True}, "spec.target: sets xid and immediate; set exactly one of time, lsn, xid, name, immediate, or omit target for the latest WAL"),
    ("none", {}, "spec.target: is empty; set exactly one of time, lsn, xid, name, immediate, or omit target for the latest WAL"),
    ("immediate: false", {"immediate": False}, "spec.target: is empty; set exactly one of time, lsn, xid, name, immediate, or omit target for the latest WAL"),
]  # fmt: skip


@pytest.mark.parametrize(("target", "text"), [row[1:] for row in TARGETS], ids=[row[0] for row in TARGETS])
def test_a_target_is_one_point_that_the_repository_can_reach(make, refusal, target, text):
    assert refusal(make("Restore", repository="hippo", target=target)) == text


def test_no_target_is_the_latest_wal(make, judge):
    verdict = judge(make("Restore", repository="hippo"))
    assert (verdict.faults, verdict.warnings) == ([], [])


@pytest.mark.parametrize("status", ["False", "Unknown", None])
def test_a_target_after_the_window_is_refused_when_the_repository_is_not_archiving(make, refusal, hippo, status):
    hippo["status"]["conditions"] = [{"type": "Archiving", "status": status}] if status else []
    text = refusal(make("Restore", repository="hippo", target={"time": "2026-11-21T00:00:00Z"}))
    assert (
        "is after 2026-11-20T00:00:00Z, the latest time that Repository hippo has archived, and it is not archiving"
        in text
    )


@pytest.mark.parametrize("reason", sorted({NO_PRIMARY, *HELD}))
def test_a_target_after_the_window_is_for_the_restore_to_reach_where_postgresql_is_dead(make, judge, hippo, reason):
    """What it had committed by then is in its pg_wal, and archived before anything else."""
    hippo["status"]["conditions"] = [{"type": "Archiving", "status": "Unknown", "reason": reason}]
    verdict = judge(make("Restore", repository="hippo", target={"time": "2026-11-21T00:00:00Z"}))
    assert verdict.faults == []


LOCAL = {"name": "local", "ready": True, "reachable": True}
S3_AWAY = {"name": "s3", "ready": False, "reachable": False}


@pytest.mark.parametrize(
    ("storages", "storage", "refused"),
    [
        pytest.param([LOCAL, S3_AWAY], "local", False, id="the other one is away"),
        pytest.param([LOCAL, S3_AWAY], "", False, id="one of them is away, and any will do"),
        pytest.param([LOCAL, S3_AWAY], "s3", True, id="the one that is named is away"),
        pytest.param([LOCAL, S3_AWAY | {"reachable": True}], "local", True, id="none is away"),
        pytest.param([LOCAL | {"ready": False}, S3_AWAY], "local", True, id="neither can be used"),
    ],
)
def test_a_target_after_the_window_is_for_the_fence_to_judge_while_only_another_storage_is_away(
    make, refusal, hippo, storages, storage, refused
):
    hippo["spec"]["storageType"] = "local,s3"
    window = hippo["status"]["recoveryWindow"][0]
    hippo["status"]["recoveryWindow"] = [window, window | {"storage": "s3", "repo": 2}]
    hippo["status"] |= {"conditions": [{"type": "Archiving", "status": "False"}], "storages": storages}
    named = {"storage": storage} if storage else {}
    text = refusal(make("Restore", repository="hippo", target={"time": "2026-11-21T00:00:00Z"}, **named))
    assert ("it is not archiving" in text) is refused


def test_an_unknown_window_is_said_and_does_not_stop_a_rescue(make, judge, hippo):
    del hippo["status"]
    verdict = judge(
        make("Restore", repository="hippo", set="20261101-000000F", target={"time": "2020-11-21T00:00:00Z"})
    )
    assert verdict.faults == []
    assert [text.split(":")[0] for text in verdict.warnings] == [
        "the recovery window of Repository hippo is not known yet",
        "the backups of Repository hippo are not known yet",
    ]


def test_the_window_is_that_of_the_chosen_storage(make, refusal, hippo):
    hippo["spec"]["storageType"] = "local,s3"
    hippo["status"]["recoveryWindow"].append({"storage": "s3", "earliest": "2026-06-01T00:00:00Z"})
    target = {"time": "2026-07-01T00:00:00Z"}
    assert refusal(make("Restore", repository="hippo", target=target)) == ""
    assert refusal(make("Restore", repository="hippo", target=target, storage="s3")) == ""
    assert "the earliest time that Repository hippo can recover to from storage local" in refusal(
        make("Restore", repository="hippo", target=target, storage="local")
    )


def test_a_set_must_be_there(make, refusal):
    assert refusal(make("Restore", repository="hippo", set="20261101-000000F")) == ""
    assert refusal(make("Restore", repository="hippo", set="20261102-000000F")) == (
        'spec.set: "20261102-000000F": Repository hippo has no such backup; '
        "the newest are: 20261101-000000F_20261110-000000I, 20261101-000000F"
    )


def test_a_target_before_the_end_of_its_set_is_refused(make, refusal):
    text = refusal(
        make(
            "Restore",
            repository="hippo",
            set="20261101-000000F_20261110-000000I",
            target={"time": "2026-11-05T00:00:00Z"},
        )
    )
    assert text.endswith(
        "is before 2026-11-10T00:10:00Z, the end of backup 20261101-000000F_20261110-000000I; choose an older set, or omit set"
    )


def test_immediate_takes_no_timeline(make, refusal):
    obj = make("Restore", repository="hippo", target={"immediate": True}, targetTimeline="latest")
    assert "spec.targetTimeline" in refusal(obj)


def test_the_claim_of_the_backups_is_never_restored_into(make, refusal):
    text = refusal(make("Restore", repository="hippo", volumeClaim="hippo-pgbackrest-repo"))
    assert text == 'spec.volumeClaim: "hippo-pgbackrest-repo": is the claim that holds the backups; name a new claim'


def test_a_claim_name_is_a_name(make, refusal):
    assert "spec.volumeClaim" in refusal(make("Restore", repository="hippo", volumeClaim="Data_1"))


def test_a_restore_cannot_be_changed(make, refusal):
    old = make("Restore", repository="hippo")
    new = copy.deepcopy(old)
    new["spec"]["keepOldVolume"] = False
    assert (
        refusal(new, old) == "spec: a Restore cannot be changed, except recoveryTimeoutSeconds; create another Restore"
    )


@pytest.mark.parametrize("before", [{}, {"recoveryTimeoutSeconds": 60}], ids=["not given", "another one"])
def test_how_long_its_recovery_may_stand_still_can_be_changed(make, refusal, before):
    old = make("Restore", repository="hippo", **before)
    assert refusal(make("Restore", repository="hippo", recoveryTimeoutSeconds=7200), old) == ""
    assert "spec.recoveryTimeoutSeconds" in refusal(make("Restore", repository="hippo", recoveryTimeoutSeconds=1), old)


UNDONE = {
    "one that is completed": ({"phase": "Completed"}, {}, ""),
    "one that failed": ({"phase": "Failed"}, {}, "failed and was rolled back"),
    "one that is at work": ({"phase": "Running"}, {}, "is Running; wait until it is Completed"),
    "one that waits": ({}, {}, "is Pending; wait"),
    "one beside": ({"phase": "Completed"}, {"volumeClaim": "look"}, "filled claim look and changed nothing else"),
}


@pytest.mark.parametrize(("status", "spec", "said"), UNDONE.values(), ids=UNDONE)
def test_only_a_restore_that_has_replaced_something_is_undone(make, refusal, cluster, status, spec, said):
    cluster.present.append(make("Restore", "back", repository="hippo", status=status, **spec))
    text = refusal(make("Restore", "undo", repository="hippo", undo="back"))
    assert (said in text) if said else text == ""


def test_a_restore_that_is_gone_may_be_undone_and_a_near_name_is_told(make, judge, cluster):
    """What it left in the backup sets, the controller sees."""
    cluster.present.append(make("Restore", "back", repository="hippo", status={"phase": "Completed"}))
    verdict = judge(make("Restore", "undo", repository="hippo", undo="bakc"))
    assert verdict.ok
    assert "there is no Restore bakc of Repository hippo; did you mean back?" in verdict.warnings[0]


@pytest.mark.parametrize("field", ["target", "set", "targetTimeline", "volumeClaim"])
def test_an_undo_says_nothing_else_of_where_it_goes(make, refusal, field):
    value = {"target": {"immediate": True}, "set": "latest", "targetTimeline": "2", "volumeClaim": "look"}[field]
    text = refusal(make("Restore", "undo", repository="hippo", undo="back", **{field: value}))
    assert f'spec.undo: "back": cannot be combined with {field}' in text


def test_a_second_restore_is_told_what_it_waits_for(make, judge, cluster):
    cluster.present.append(make("Restore", "first", repository="hippo", status={"phase": "Running"}))
    cluster.present.append(make("Restore", "done", repository="hippo", status={"phase": "Failed"}))
    assert judge(make("Restore", "second", repository="hippo")).warnings == [
        "waits for Restore first of the same Repository"
    ]


PAST = {"repository": "both", "volumeClaim": "rescued", "repoTargetTime": "2026-11-15T10:00:00Z"}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"storage": "s3"},
        {"set": "20261030-010000F"},
        {"target": {"time": "2026-10-30T10:00:00Z"}},
        {"target": {"lsn": "0/1000000"}},
        {"targetTimeline": "9"},
    ],
)
def test_what_the_status_of_today_lists_does_not_count_for_an_earlier_time(make, judge, hippo, more):
    hippo["spec"]["storageType"] = "local,s3"
    verdict = judge(make("Restore", **(PAST | {"repository": "hippo"} | more)))
    assert (verdict.faults, verdict.warnings) == ([], [])
