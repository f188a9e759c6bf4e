"""Each step in each situation it may find."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from controller.recovery import target
from controller.recovery.plan import Plan, Volume
from controller.restore import planning, render, steps_finish, steps_prepare, steps_switch, workload
from controller.restore.facts import Facts
from controller.restore.verdict import Call, Create, Delete
from pgwarden.api import names
from pgwarden.api.kinds import NewVolume, RepositorySpec, RestoreSpec, RestoreTarget
from pgwarden.pgbackrest.info import parse_info

RESTORE = {
    "kind": "Restore",
    "metadata": {"name": "back", "namespace": "ns", "uid": "r-1", "creationTimestamp": "2026-11-23T12:00:01Z"},
}


@pytest.fixture
async def begin(run, settings) -> Facts:
    """As it is when Restore `back` begins on the fake cluster."""
    cluster = run.cluster
    return Facts(
        now=cluster.now, settings=settings, restore=RESTORE, spec=RestoreSpec(repository="hippo"),
        repository=cluster.of("repositories")[0], operations=(RESTORE,), workloads=tuple(cluster.of("statefulsets")),
        pods=tuple(cluster.of("pods")), claims={c["metadata"]["name"]: c for c in cluster.of("persistentvolumeclaims")},
        volumes={v["metadata"]["name"]: v for v in cluster.of("persistentvolumes")}, info=(await run.agents.host(None, ""))["info"],
    )  # fmt: skip


@pytest.fixture
def planned(begin) -> Facts:
    """After Validated; the Job has filled a volume."""
    plan = planning.make(begin)
    assert isinstance(plan, Plan)
    plan = msgspec.structs.replace(plan, new_volume=Volume(name="pv-new", reclaim="Delete"))
    made = {
        "name": "back-restored",
        "uid": "c-2",
        "creationTimestamp": "2026-11-23T12:00:02Z",
        "labels": {names.LABEL_RESTORE: "back"},
    }
    claim = {"metadata": made, "spec": {"volumeName": "pv-new"}, "status": {"phase": "Bound"}}
    reference = {"namespace": "ns", "name": "back-restored", "uid": "c-2"}
    volume = {
        "metadata": {"name": "pv-new"},
        "spec": {"persistentVolumeReclaimPolicy": "Delete", "claimRef": reference},
    }
    return replace(
        begin, plan=plan, claims=begin.claims | {"back-restored": claim}, volumes=begin.volumes | {"pv-new": volume}
    )


def said(verdict) -> tuple[str, str]:
    return verdict.kind, verdict.reason


def changed_pod(facts: Facts, **metadata) -> Facts:
    pods = copy.deepcopy(facts.pods)
    pod = next(p for p in pods if p["metadata"]["name"] == "pg-0")
    pod["metadata"] |= metadata
    return replace(facts, pods=pods)


# --- Validated ---------------------------------------------------------------------------------------------------


def test_the_plan_remembers_what_was_there(begin):
    plan = planning.make(begin)
    assert isinstance(plan, Plan)
    assert (plan.workload_kind, plan.workload, plan.replicas, plan.pod) == ("StatefulSet", "pg", 1, "pg-0")
    assert (plan.claim, plan.claim_uid, plan.old_volume) == (
        "data-pg-0",
        "uid-4",
        Volume(name="pv-old", reclaim="Delete"),
    )
    assert (plan.claim_labels, plan.claim_annotations) == ({"app": "pg"}, {"note": "mine"})
    assert "volumeName" not in plan.claim_spec
    assert plan.mounts == [{"name": "data", "mountPath": "/var/lib/postgresql/data"}]
    assert plan.own_volume  # the image starts as root


@pytest.mark.parametrize(
    ("change", "verdict", "words"),
    [
        (lambda f: replace(f, workloads=[merged(f.workloads[0], {"spec": {"replicas": 3}})]), ("fail", "SeveralReplicas"), "StatefulSet pg has 3 replicas"),
        (lambda f: replace(f, pods=()), ("wait", "NoPod"), "scale it to 1 (the pod need not become ready)"),
        (lambda f: replace(f, pods=(), workloads=()), ("wait", "NoWorkload"), "pgwarden.io/repository=hippo"),
        (lambda f: changed_pod(f, annotations={}), ("wait", "PodNotInjected"), "delete the pod"),
        (lambda f: changed_pod(f, ownerReferences=[{"kind": "ReplicaSet", "name": "pg-7d", "controller": True}]), ("fail", "WorkloadNotSupported"), "ReplicaSet pg-7d"),
        (lambda f: changed_pod(f, ownerReferences=[]), ("fail", "WorkloadNotSupported"), "spec.volumeClaim"),
        (lambda f: replace(f, pods=(*f.pods, other_pod("StatefulSet", "replica"))), ("fail", "SeveralWorkloads"), "pg, replica"),
        (lambda f: replace(f, pods=(*f.pods, {"metadata": {"name": "psql"}, "spec": {"volumes": [{"name": "x", "persistentVolumeClaim": {"claimName": "data-pg-0"}}]}})), ("wait", "ClaimInUse"), "pod psql also uses claim data-pg-0"),
        (lambda f: replace(f, pods=tuple(merged(p, {"spec": {"volumes": [{"name": "data", "emptyDir": {}}]}}) for p in f.pods)), ("fail", "NoClaim"), "must be on a PersistentVolumeClaim"),
        (lambda f: replace(f, claims={}), ("wait", "NoClaim"), "claim data-pg-0 of pod pg-0 does not exist"),
        (lambda f: replace(f, claims={"data-pg-0": merged(f.claims["data-pg-0"], {"metadata": {"deletionTimestamp": "2026-11-23T12:00:00Z"}})}), ("wait", "ClaimGoing"), "data-pg-0 is being deleted"),
        (lambda f: replace(f, volumes={}), ("wait", "ClaimNotBound"), "data-pg-0"),
        (lambda f: replace(f, claims={"data-pg-0": merged(f.claims["data-pg-0"], {"spec": {"volumeMode": "Block"}})}), ("fail", "BlockVolume"), "block device"),
        (lambda f: replace(f, repository=None), ("wait", "NoRepository"), "hippo"),
        (lambda f: replace(f, info=None, info_error="no host"), ("wait", "RepositoryNotReachable"), "no host"),
        (lambda f: replace(f, info=f.info | {"backup": []}), ("wait", "NoBackup"), "no backup to restore from"),
    ],
)  # fmt: skip
def test_why_a_restore_does_not_begin(begin, change, verdict, words):
    found = steps_prepare.validated(change(begin))
    assert said(found) == verdict
    assert words in found.message


def merged(obj, patch):
    obj = copy.deepcopy(obj)
    for key, value in patch.items():
        obj[key] = obj[key] | value
    return obj


def other_pod(kind, name):
    owner = {"kind": kind, "name": name, "controller": True}
    labels = {names.LABEL_REPOSITORY: "hippo"}
    return {"metadata": {"name": f"{name}-0", "labels": labels, "ownerReferences": [owner]}, "spec": {"volumes": []}}


# --- the target --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({}, "", ""),
        ({"target": RestoreTarget(time="2026-11-23T11:30:00Z")}, "", ""),
        ({"target": RestoreTarget(time="2026-11-23T12:30:00Z")}, "TargetInFuture", "now: 2026-11-23T12:00:01Z"),
        (
            {"target": RestoreTarget(time="2026-11-23T10:30:00Z")},
            "TargetTooEarly",
            "the earliest reachable time is 2026-11-23T11:01:00Z",
        ),
        ({"target": RestoreTarget(lsn="0/2FFFFFF")}, "TargetTooEarly", "the earliest reachable is 0/3000050"),
        ({"target": RestoreTarget(lsn="1/0")}, "", ""),
        ({"set": "20261123-110000F"}, "", ""),
        ({"target_timeline": "1"}, "", ""),
        ({"target_timeline": "current"}, "", ""),
        ({"target_timeline": "9"}, "NoSuchTimeline", "the newest timeline is 1"),
        ({"target_timeline": "0x0"}, "NoSuchTimeline", "is before 1"),
        ({"set": "20261101-110000F"}, "NoSuchSet", "available: 20261123-110000F"),
        ({"storage": "s3"}, "NoBackup", "storage s3 holds no backup"),
    ],
)
def test_target(begin, spec, reason, words):
    wanted = RestoreSpec(repository="hippo", **spec)
    info = parse_info([begin.info], "hippo")
    found = target.unreachable(
        wanted, RepositorySpec(storage_type="local,s3"), info, datetime(2026, 11, 23, 12, 0, 1, tzinfo=UTC)
    )
    assert (found.reason if found else "") == reason
    assert not found or words in found.message


@pytest.mark.parametrize(("size", "reason"), [("1Gi", ""), ("0.5", "VolumeTooSmall"), (None, "")])
def test_a_new_volume_holds_the_data(begin, size, reason):
    wanted = RestoreSpec(repository="hippo", new_volume=NewVolume(size=size))
    found = target.too_small(wanted, RepositorySpec(), parse_info([begin.info], "hippo"))
    assert (found.reason if found else "") == reason
    assert not found or "0.5 is less than the 1 bytes of data" in found.message


# --- Fenced ------------------------------------------------------------------------------------------------------


def test_the_primary_is_asked_to_archive_all_it_has(planned):
    assert steps_prepare.fenced(planned).action == Call("10.0.0.7", "fence?timeout=60", 75, "fence")


BOTH = msgspec.convert({"storageType": "local,s3", "s3": {"bucket": "b"}}, RepositorySpec)


def test_the_fence_says_until_when_it_tries_and_what_comes_then(planned):
    said = steps_prepare.fenced(planned).message
    assert "after 2026-11-23T12:01:01Z (60 s) the restore continues with what is archived" in said


@pytest.mark.parametrize(
    ("chosen", "named", "call"),
    [
        pytest.param("", "", "fence?timeout=60", id="all of them"),
        pytest.param("local", "", "fence?timeout=60&repo=1", id="chosen, as the other one is away"),
        pytest.param("s3", "s3", "fence?timeout=60&repo=2", id="named"),
        pytest.param("", "s3", "fence?timeout=60&repo=2", id="named, by a plan of version 0.1"),
    ],
)
def test_the_fence_asks_for_the_storage_that_is_restored_from_alone(planned, chosen, named, call):
    plan = msgspec.structs.replace(planned.planned, storage=chosen)
    found = steps_prepare.fenced(
        replace(planned, plan=plan, repo_spec=BOTH, spec=RestoreSpec(repository="hippo", storage=named))
    )
    assert found.action.call == call
    assert "into storage" not in found.message or f"into storage {chosen or named};" in found.message


def with_storages(info: dict, *codes: int) -> dict:
    """*info* of a Repository on local,s3; the backup is in each storage that can be read."""
    readable = [number for number, code in enumerate(codes, 1) if code == 0]
    return info | {
        "repo": [
            {"key": number, "cipher": "none", "status": {"code": code, "message": f"[HostConnectError] no answer {number}"}}
            for number, code in enumerate(codes, 1)
        ],
        **{
            kind: [one | {where: one[where] | {"repo-key": n}} if where else one | {"repo-key": n}
                   for one in info[kind] for n in readable]
            for kind, where in (("backup", "database"), ("archive", "database"), ("db", ""))
        },
    }  # fmt: skip


OLDER, SET, OTHER_SET = {"time": "2026-11-20T00:00:00Z"}, "20261123-110000F", "20260101-110000F"


@pytest.mark.parametrize(
    ("spec", "codes", "verdict", "storage"),
    [
        pytest.param({}, (0, 0), ("done", "Valid"), "local", id="both answer: the first"),
        pytest.param({"storage": "local"}, (0, 99), ("done", "Valid"), "local", id="the one that is named answers"),
        pytest.param({"storage": "s3"}, (99, 0), ("done", "Valid"), "s3", id="the volume cannot be read"),
        pytest.param({}, (0, 99), ("done", "Valid"), "local", id="the one that answers is chosen"),
        pytest.param({}, (99, 0), ("done", "Valid"), "s3", id="whichever it is"),
        pytest.param(
            {"storage": "s3"}, (0, 99), ("wait", "StorageNotReadable"), "", id="the one that is named is away"
        ),
        pytest.param({}, (99, 99), ("wait", "StorageNotReadable"), "", id="both are away"),
        pytest.param({"set": SET}, (0, 99), ("done", "Valid"), "local", id="the set is in the one that answers"),
        pytest.param({"set": OTHER_SET}, (0, 99), ("wait", "StorageNotReadable"), "", id="the set may be in the other"),
        pytest.param({"set": OTHER_SET}, (0, 0), ("fail", "NoSuchSet"), "", id="the set is in neither"),
        pytest.param(
            {"set": OTHER_SET, "storage": "local"}, (0, 99), ("fail", "NoSuchSet"), "", id="not where it is named"
        ),
        pytest.param(
            {"target": OLDER}, (0, 99), ("wait", "StorageNotReadable"), "", id="the other may reach further back"
        ),
        pytest.param(
            {"target": {"time": "2999-01-01T00:00:00Z"}}, (0, 99), ("fail", "TargetInFuture"), "", id="in no storage"
        ),
    ],
)
def test_a_restore_waits_for_the_storage_that_it_uses_and_no_other(begin, spec, codes, verdict, storage):
    wanted = msgspec.convert({"repository": "hippo"} | spec, RestoreSpec)
    found = steps_prepare.validated(replace(begin, spec=wanted, repo_spec=BOTH, info=with_storages(begin.info, *codes)))
    assert said(found) == verdict
    if found.kind == "done":
        assert found.plan.storage == storage
        assert f"--repo={1 + (storage == 's3')}" in render.arguments(found.plan, wanted, BOTH)
        assert render.backup(found.plan, wanted, "ns")["spec"].get("storage", "") == storage
        away = {"local": "s3", "s3": "local"}.get(storage, "") if 99 in codes else ""
        assert not away or f"from storage {storage}; storage {away} cannot be read" in found.message
    if found.kind == "wait":
        assert "no answer" in found.message


def test_of_storages_that_all_answer_the_first_that_reaches_the_target_is_named(begin):
    info = with_storages(begin.info, 0, 0)
    info["backup"] = [one for one in info["backup"] if one["database"]["repo-key"] == 2]
    for spec in (RestoreSpec(repository="hippo"), RestoreSpec(repository="hippo", set=SET)):
        found = steps_prepare.validated(replace(begin, spec=spec, repo_spec=BOTH, info=info))
        assert found.plan.storage == "s3"
        assert "--repo=2" in render.arguments(found.plan, spec, BOTH)


def test_one_storage_alone_is_not_named(begin):
    found = steps_prepare.validated(begin)
    assert (
        found.plan.storage,
        [a for a in render.arguments(found.plan, begin.spec, begin.repo_spec) if "--repo" in a],
    ) == ("", [])


@pytest.mark.parametrize(
    ("codes", "verdict"),
    [((0, 0), ("done", "ArchivedOnly")), ((0, 99), ("fail", "TargetNotReachable"))],
    ids=["the other has the WAL", "the other is away"],
)
def test_what_the_chosen_storage_lacks_counts_where_the_other_can_be_read(planned, codes, verdict):
    latest = {"local": "2026-11-23T11:00:00Z", "s3": "2026-11-23T11:55:00Z"}
    window = [{"storage": storage, "latest": at} for storage, at in latest.items()]
    facts = replace(
        planned,
        plan=msgspec.structs.replace(planned.planned, storage="local"),
        repo_spec=BOTH,
        info=with_storages(planned.info, *codes),
        repository=planned.repository | {"status": {"recoveryWindow": window}},
        spec=RestoreSpec(repository="hippo", target=RestoreTarget(time="2026-11-23T11:50:00Z")),
        answers={"fence": {"ok": False, "error": "disk full"}},
    )
    assert said(steps_prepare.fenced(facts)) == verdict


@pytest.mark.parametrize(
    ("chosen", "codes", "goes_on"),
    [
        ("local", (0, 99), True), ("local", (99, 0), False), ("s3", (99, 0), True), ("", (0, 99), True), ("", (99, 99), False),
    ],
)  # fmt: skip
def test_postgresql_is_neither_stopped_nor_started_without_the_storage_of_its_wal(planned, chosen, codes, goes_on):
    plan = msgspec.structs.replace(planned.planned, storage=chosen)
    facts = replace(planned, plan=plan, repo_spec=BOTH, info=with_storages(planned.info, *codes))
    for found in (steps_switch.stopped(facts), steps_switch._start(facts, plan, planned.workloads[0])):
        assert (found.reason != "RepositoryNotReachable") is goes_on
        assert goes_on or "no answer" in found.message


@pytest.mark.parametrize(
    ("location", "verdict"),
    [
        ("/var/lib/postgresql/data/fast", ("done", "Archived")),
        ("pg_tblspc/16384", ("done", "Archived")),
        ("/var/lib/postgresql/database", ("fail", "TablespaceElsewhere")),
        ("/fast", ("fail", "TablespaceElsewhere")),
    ],
)
def test_a_tablespace_on_another_volume_is_refused_before_anything_stops(planned, location, verdict):
    answer = {"ok": True, "lsn": "0/9000000", "tablespaces": [{"name": "fast", "location": location}]}
    found = steps_prepare.fenced(replace(planned, answers={"fence": answer}))
    assert said(found) == verdict
    assert found.kind == "done" or f"tablespace fast is in {location}" in found.message
    assert found.kind == "fail" or found.plan.tablespaces == [location] * location.startswith("/")


@pytest.mark.parametrize(("wanted", "kind"), [("0/9000000", "done"), ("0/9000001", "fail"), ("2/0", "fail")])
def test_a_position_that_is_not_written_yet_is_refused_before_anything_stops(planned, wanted, kind):
    spec = RestoreSpec(repository="hippo", target=RestoreTarget(lsn=wanted))
    answer = {"ok": True, "lsn": "0/9000000", "wal": "000000010000000000000008", "time": "2026-11-23T12:00:00Z"}
    found = steps_prepare.fenced(replace(planned, spec=spec, answers={"fence": answer}))
    assert found.kind == kind
    assert found.kind == "done" or wanted in found.message


@pytest.mark.parametrize(
    ("time", "verdict"),
    [
        (None, ("done", "ArchivedOnly")),
        ("2026-11-23T11:50:00Z", ("done", "ArchivedOnly")),
        ("2026-11-23T11:59:00Z", ("fail", "TargetNotReachable")),
    ],
)
def test_a_primary_that_cannot_archive(planned, time, verdict):
    repository = planned.repository | {
        "status": {"recoveryWindow": [{"storage": "local", "latest": "2026-11-23T11:55:00Z"}]}
    }
    spec = RestoreSpec(repository="hippo", target=RestoreTarget(time=time) if time else None)
    found = steps_prepare.fenced(
        replace(planned, repository=repository, spec=spec, answers={"fence": {"ok": False, "error": "disk full"}})
    )
    assert said(found) == verdict
    assert "disk full" in found.message
    assert "2026-11-23T11:55:00Z" in found.message


def test_the_end_of_a_backup_needs_no_fence(planned):
    spec = RestoreSpec(repository="hippo", target=RestoreTarget(immediate=True))
    assert said(steps_prepare.fenced(replace(planned, spec=spec))) == ("done", "NotNeeded")


# --- Restored ----------------------------------------------------------------------------------------------------


def ended_pod(message):
    ended = {"message": json.dumps(message), "finishedAt": "2026-11-23T12:00:00Z"}
    return {
        "metadata": {"name": "x"},
        "spec": {"volumes": []},
        "status": {"phase": "Failed", "containerStatuses": [{"name": "pgbackrest", "state": {"terminated": ended}}]},
    }


BAD_SET = {"ok": False, "exitCode": 75, "error": "ERROR: [075]: no set"}
KILLED = {"ok": False, "exitCode": -1, "error": "ended by SIGTERM before it was done"}


@pytest.mark.parametrize(
    ("status", "pods", "verdict", "words"),
    [
        ({}, [], ("wait", "Running"), "Job back-restore-1 restores"),
        ({"failed": 1}, [ended_pod(KILLED)], ("wait", "Retrying"), "attempt 2 of 4; the last one failed: ended by SIGTERM"),
        ({"failed": 1}, [ended_pod(BAD_SET)], ("fail", "RestoreFailed"), "ERROR: [075]: no set"),
        ({"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "late"}]}, [], ("fail", "RestoreFailed"), "DeadlineExceeded: late"),
        ({"conditions": [{"type": "Complete", "status": "True"}]}, [], ("done", "Restored"), "volume pv-new"),
    ],
)  # fmt: skip
def test_restored(planned, status, pods, verdict, words):
    job = {"metadata": {"name": "back-restore-1", "ownerReferences": [{"uid": "r-1"}]}, "status": status}
    found = steps_prepare.restored(replace(planned, job=job, job_pods=tuple(pods)))
    assert said(found) == verdict
    assert words in found.message


def test_a_job_of_an_earlier_restore_of_that_name_is_waited_for(planned):
    job = {"metadata": {"name": "back-restore-1", "ownerReferences": [{"uid": "r-0"}]}, "status": {}}
    assert said(steps_prepare.restored(replace(planned, job=job))) == ("wait", "JobGoing")
    assert isinstance(steps_prepare.restored(planned).action, Create)


# --- Stopped -----------------------------------------------------------------------------------------------------


def test_nothing_stops_when_something_has_come_in_between(planned):
    other = merged(planned.claims["data-pg-0"], {"metadata": {"uid": "other"}})
    assert said(steps_switch.stopped(replace(planned, claims=planned.claims | {"data-pg-0": other}))) == (
        "fail",
        "ClaimChanged",
    )
    assert said(steps_switch.stopped(replace(planned, claims={"data-pg-0": other}))) == ("fail", "ClaimChanged")


def test_both_volumes_are_kept_before_anything_stops(planned):
    noted = steps_switch.stopped(planned)
    assert "spec" not in noted.action.body
    annotation = noted.action.body["metadata"]["annotations"][names.ANNOTATION_STOPPED_BY]
    assert json.loads(annotation)["replicas"] == 1
    planned = replace(planned, workloads=(merged(planned.workloads[0], {"metadata": noted.action.body["metadata"]}),))
    first = steps_switch.stopped(planned)
    assert (first.reason, first.action.plural) == ("Protecting", "persistentvolumes")
    retained = {
        n: merged(v, {"spec": v["spec"] | {"persistentVolumeReclaimPolicy": "Retain"}})
        for n, v in planned.volumes.items()
    }
    second = steps_switch.stopped(replace(planned, volumes=retained))
    assert second.action.body["spec"] == {"replicas": 0}


def test_stopped_waits_for_pods_and_job(planned):
    held = copy.deepcopy(planned.workloads[0])
    held["spec"]["replicas"] = 0
    held["metadata"]["annotations"] = {names.ANNOTATION_STOPPED_BY: planned.plan.dump()}
    there = replace(planned, workloads=(held,))
    assert said(steps_switch.stopped(there)) == ("wait", "Stopping")
    gone = replace(there, pods=())
    assert said(steps_switch.stopped(gone)) == ("done", "Stopped")
    job = {"metadata": {"name": "back-restore-1", "uid": "j-1"}}
    assert steps_switch.stopped(replace(gone, job=job)).action == Delete("jobs", "ns", "back-restore-1", "j-1")
    user = {
        "metadata": {"name": "psql"},
        "spec": {"volumes": [{"name": "x", "persistentVolumeClaim": {"claimName": "data-pg-0"}}]},
    }
    assert said(steps_switch.stopped(replace(gone, pods=(user,)))) == ("wait", "ClaimInUse")


def test_what_another_restore_left_is_only_undone_when_that_one_is_gone(planned):
    left = msgspec.structs.replace(planned.plan, restore="first", restore_uid="r-0")
    held = copy.deepcopy(planned.workloads[0])
    held["metadata"]["annotations"] = {names.ANNOTATION_STOPPED_BY: left.dump()}
    alive = {"kind": "Restore", "metadata": {"uid": "r-0"}, "status": {"phase": "Running"}}
    over = {"kind": "Restore", "metadata": {"uid": "r-0"}, "status": {"phase": "Failed"}}
    facts = replace(planned, workloads=(held,))
    assert workload.stopped_by_vanished(replace(facts, operations=(alive,))) is None
    assert workload.stopped_by_vanished(replace(facts, operations=(over,))) is None
    assert workload.stopped_by_vanished(replace(facts, operations=())) == left


# --- Recovered ---------------------------------------------------------------------------------------------------


def with_postgres(facts: Facts, postgres=None, status=None, started="2026-11-23T12:00:00Z") -> Facts:
    facts = copy.deepcopy(facts)
    pod = next(p for p in facts.pods if p["metadata"]["name"] == "pg-0")
    pod["status"]["containerStatuses"] = [{"name": "postgres"} | (status or {})]
    condition = {"type": "Started", "status": "True", "reason": "Started", "message": "", "lastTransitionTime": started}
    return replace(facts, agent={"postgres": postgres or {}}, restore=RESTORE | {"status": {"conditions": [condition]}})


def terminated(message, restarts=1):
    return {"restartCount": restarts, "lastState": {"terminated": {"exitCode": 1, "message": message}}}


@pytest.mark.parametrize(
    ("postgres", "status", "started", "verdict", "words"),
    [
        ({"reachable": True, "inRecovery": True, "lastReplayTime": "T"}, {}, "2026-11-23T12:00:00Z", ("wait", "Recovering"), "now at T"),
        ({"reachable": False, "error": "starting up"}, {}, "2026-11-23T12:00:00Z", ("wait", "Recovering"), "starting up"),
        ({"reachable": True, "inRecovery": False}, {}, "2026-11-23T12:00:00Z", ("act", "Recovered"), "recovery target"),
        ({"reachable": False}, {}, "2026-11-23T10:00:00Z", ("fail", "RecoveryTimeout"), "within 3600 s"),
        ({"reachable": True, "inRecovery": False}, {}, "2026-11-23T10:00:00Z", ("act", "Recovered"), ""),
        ({}, terminated("FATAL:  recovery ended before configured recovery target was reached"), "2026-11-23T12:00:00Z", ("fail", "RecoveryFailed"), "recovery ended before"),
        ({}, terminated("FATAL:  the database system is starting up"), "2026-11-23T12:00:00Z", ("wait", "Recovering"), ""),
        ({}, terminated(""), "2026-11-23T12:00:00Z", ("wait", "Recovering"), ""),
        ({}, terminated("", 3), "2026-11-23T12:00:00Z", ("fail", "RecoveryFailed"), "ended 3 times during recovery, last with exit code 1"),
    ],
)  # fmt: skip
def test_recovered(planned, postgres, status, started, verdict, words):
    found = steps_finish.recovered(with_postgres(planned, postgres, status, started))
    assert said(found) == verdict
    assert words in found.message


def test_the_last_replay_time_seen_is_kept(planned):
    facts = with_postgres(planned, {"reachable": True, "inRecovery": True, "lastReplayTime": "T1"})
    plan = steps_finish.recovered(facts).plan
    over = with_postgres(
        replace(planned, plan=plan), {"reachable": True, "inRecovery": False, "timeline": 3, "lastReplayTime": None}
    )
    found = steps_finish.recovered(replace(over, answers={"clear": {"ok": True}}))
    assert found.status == {"timeline": 3, "recoveredTo": "T1"}


# --- BackedUp ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("created", "status", "verdict"),
    [
        ("2026-11-23T12:00:05Z", {}, ("wait", "Running")),
        ("2026-11-23T12:00:05Z", {"phase": "Running"}, ("wait", "Running")),
        ("2026-11-23T12:00:05Z", {"phase": "Completed"}, ("done", "BackedUp")),
        ("2026-11-23T12:00:05Z", {"phase": "Failed"}, ("done", "BackupFailed")),
        ("2026-11-22T12:00:05Z", {"phase": "Completed"}, ("done", "BackupFailed")),
    ],
)
def test_backed_up(planned, created, status, verdict):
    backup = {"metadata": {"name": "back-after", "creationTimestamp": created}, "status": status}
    assert said(steps_finish.backed_up(replace(planned, backup=backup))) == verdict


def test_the_backup_that_is_asked_for(planned):
    action = steps_finish.backed_up(planned).action
    assert (action.plural, action.body["spec"]) == ("backups", {"repository": "hippo", "type": "full"})
    assert action.body["metadata"]["labels"][names.LABEL_RESTORE] == "back"
    assert "ownerReferences" not in action.body["metadata"]
