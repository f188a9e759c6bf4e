"""The steps before anything is copied: Validated, Fenced."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import structs

from controller.recovery.plan import Plan, Volume
from controller.restore import planning, steps_prepare
from controller.restore.facts import RestoreFacts
from controller.restore.verdict import Ask
from pgwarden.api import names
from pgwarden.api.kinds import RestoreSpec, RestoreTarget
from pgwarden.contract import calls
from pgwarden.contract.calls import Fenced, Tablespace
from tests.unit.controller.restore.steps.situations import merged, said


def changed_pod(facts: RestoreFacts, **metadata) -> RestoreFacts:
    pods = copy.deepcopy(facts.pods)
    pod = next(p for p in pods if p["metadata"]["name"] == "pg-0")
    pod["metadata"] |= metadata
    return replace(facts, pods=pods)


def test_the_plan_remembers_what_was_there(begin):
    plan = planning.make(begin)
    assert isinstance(plan, Plan)
    assert (plan.workload_kind, plan.workload, plan.replicas, plan.pod) == ("StatefulSet", "pg", 1, "pg-0")
    assert (plan.claim, plan.claim_uid, plan.old_volume) == (
        "data-pg-0",
        "uid-3",
        Volume(name="pv-old", reclaim="Delete"),
    )
    assert (plan.claim_labels, plan.claim_annotations) == ({"app": "pg"}, {"note": "mine"})
    assert "volumeName" not in plan.claim_spec
    assert plan.mounts == [{"name": "data", "mountPath": "/var/lib/postgresql/data"}]
    assert plan.own_volume  # the image starts as root


@pytest.mark.parametrize(
    ("of_pod", "of_container", "as_root"),
    [
        ({}, {}, True),
        ({"runAsUser": 0}, {}, True),
        ({"runAsUser": 999}, {"runAsUser": 0}, True),
        ({"runAsUser": 999}, {}, False),
        ({}, {"runAsUser": 999}, False),
        ({"runAsNonRoot": True}, {}, False),  # where Pod Security is restricted: a container as root would be refused
        ({}, {"runAsNonRoot": True}, False),
    ],
)
def test_root_takes_the_new_volume_only_where_the_workload_itself_may_start_as_root(
    begin, of_pod, of_container, as_root
):
    pods, workloads = copy.deepcopy(begin.pods), copy.deepcopy(begin.workloads)
    for spec in (
        next(p for p in pods if p["metadata"]["name"] == "pg-0")["spec"],
        workloads[0]["spec"]["template"]["spec"],
    ):
        spec["securityContext"] = of_pod
        spec["containers"][0]["securityContext"] = of_container
    plan = planning.make(replace(begin, pods=pods, workloads=workloads))
    assert isinstance(plan, Plan)
    assert plan.own_volume is as_root


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
        (lambda f: replace(f, missing_class="nope"), ("wait", "NoStorageClass"), "newVolume.storageClassName: there is no StorageClass nope"),
        (lambda f: replace(f, info=None, info_error="no host"), ("wait", "RepositoryNotReachable"), "no host"),
        (lambda f: replace(f, info=f.info | {"backup": []}), ("wait", "NoBackup"), "no backup to restore from"),
    ],
)  # fmt: skip
def test_why_a_restore_does_not_begin(begin, change, verdict, words):
    found = steps_prepare.validated(change(begin))
    assert said(found) == verdict
    assert words in found.message


@pytest.mark.parametrize(("timeline", "verdict"), [("", ("fail", "TimeTakenBack")), ("1", ("done", "Valid"))])
def test_a_time_that_a_restore_took_back_while_this_one_waited_for_it_needs_its_timeline(begin, timeline, verdict):
    """The one before has ended a moment ago, and what was asked for is not what the timeline of now has."""
    wanted = RestoreTarget(time="2026-11-23T11:30:00Z")
    spec = RestoreSpec(repository="hippo", target=wanted, target_timeline=timeline)
    status = {"phase": "Completed", "timelineBefore": 1, "timeline": 2, "recoveredTo": "2026-11-23T11:00:00Z"}
    status |= {"stoppedTime": "2026-11-23T11:45:00Z", "conditions": [{"type": "Started", "status": "True"}]}
    before = {"kind": "Restore", "metadata": {"name": "before", "namespace": "ns"}, "status": status}
    before["spec"] = {"repository": "hippo", "target": {"time": "2026-11-23T11:00:00Z"}}
    found = steps_prepare.validated(replace(begin, spec=spec, operations=(*begin.operations, before)))
    assert said(found) == verdict
    if not timeline:
        assert found.message.startswith("the state at time 2026-11-23T11:30:00Z was taken back by Restore before")


def other_pod(kind, name):
    owner = {"kind": kind, "name": name, "controller": True}
    labels = {names.LABEL_REPOSITORY: "hippo"}
    return {"metadata": {"name": f"{name}-0", "labels": labels, "ownerReferences": [owner]}, "spec": {"volumes": []}}


def test_the_primary_is_asked_to_archive_all_it_has(planned):
    assert steps_prepare.fenced(planned).action == Ask("10.0.0.7", calls.fence(60), 75)


def test_the_fence_says_until_when_it_tries_and_what_comes_then(planned):
    said = steps_prepare.fenced(planned).message
    assert "after 2026-11-23T12:01:01Z (60 s) the restore continues with what is archived" in said


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
    answer = Fenced(ok=True, lsn="0/9000000", tablespaces=(Tablespace(name="fast", location=location),))
    found = steps_prepare.fenced(replace(planned, answers={calls.FENCE: answer}))
    assert said(found) == verdict
    assert found.kind == "done" or f"tablespace fast is in {location}" in found.message
    assert found.kind == "fail" or found.plan.tablespaces == [location] * location.startswith("/")


WAL_ELSEWHERE = ("fail", "WalElsewhere")


def mounting(facts: RestoreFacts, **mounts: str) -> RestoreFacts:
    """*facts* with further mounts in the PostgreSQL container: volume=path."""
    pods = copy.deepcopy(facts.pods)
    (container,) = (c for p in pods if p["metadata"]["name"] == "pg-0" for c in p["spec"]["containers"])
    container["volumeMounts"] += [{"name": name, "mountPath": path} for name, path in mounts.items()]
    return replace(facts, pods=pods)


@pytest.mark.parametrize(
    ("directory", "mounts", "verdict"),
    [
        (None, {}, ("done", "Archived")),
        ("/wal/pg_wal", {"wal": "/wal"}, WAL_ELSEWHERE),
        ("/var/lib/postgresql/data/wal", {}, ("done", "Archived")),
        ("/var/lib/postgresql/data/wal/x", {"wal": "/var/lib/postgresql/data/wal"}, WAL_ELSEWHERE),
        ("/var/lib/postgresql/data/pgdata/pg_wal", {"wal": "/var/lib/postgresql/data/pgdata/pg_wal"}, WAL_ELSEWHERE),
        ("/somewhere", {}, WAL_ELSEWHERE),
    ],
    ids=["in the data directory", "a link to another volume", "a link on the same volume",
         "a link to a volume within the volume", "a volume on pg_wal itself", "a link into the image"],
)  # fmt: skip
@pytest.mark.parametrize("lives", [True, False], ids=["PostgreSQL says so", "it was known before PostgreSQL died"])
def test_pg_wal_on_another_volume_is_refused_before_anything_stops(planned, lives, directory, mounts, verdict):
    facts = mounting(planned, **mounts)
    if lives:
        facts = replace(facts, answers={calls.FENCE: Fenced(ok=True, tablespaces=(), wal_directory=directory)})
    else:
        status = {"postgres": {"walDirectory": directory} if directory else {}}
        facts = replace(facts, repository=facts.repository | {"status": status})
        facts = replace(facts, answers={calls.FENCE: Fenced(error="connection refused", unreached=True)})
        verdict = verdict if verdict == WAL_ELSEWHERE else ("done", "ArchivedOnly")
    found = steps_prepare.fenced(facts)
    assert said(found) == verdict
    assert found.kind == "done" or f"pg_wal is in {directory}, on another volume" in found.message


@pytest.mark.parametrize("known", [{"walDirectory": "/wal"}, {"tablespaces": [{"name": "fast", "location": "/fast"}]}])
def test_what_is_elsewhere_is_refused_also_where_nobody_is_asked(planned, known):
    facts = replace(planned, repository=planned.repository | {"status": {"postgres": known}})
    immediate = replace(facts, spec=RestoreSpec(repository="hippo", target=RestoreTarget(immediate=True)))
    dead = changed_pod(facts, labels={})
    for one in (immediate, dead):
        assert steps_prepare.fenced(one).reason in {"WalElsewhere", "TablespaceElsewhere"}


def test_into_a_new_claim_pg_wal_may_go(planned):
    spec = RestoreSpec(repository="hippo", volume_claim="copy")
    facts = replace(planned, spec=spec, plan=structs.replace(planned.planned, workload=""))
    answer = Fenced(ok=True, tablespaces=(), wal_directory="/wal/pg_wal")
    assert steps_prepare.fenced(replace(facts, answers={calls.FENCE: answer})).kind == "done"


@pytest.mark.parametrize(("wanted", "kind"), [("0/9000000", "done"), ("0/9000001", "fail"), ("2/0", "fail")])
def test_a_position_that_is_not_written_yet_is_refused_before_anything_stops(planned, wanted, kind):
    spec = RestoreSpec(repository="hippo", target=RestoreTarget(lsn=wanted))
    answer = Fenced(ok=True, lsn="0/9000000", wal="000000010000000000000008", time="2026-11-23T12:00:00Z")
    found = steps_prepare.fenced(replace(planned, spec=spec, answers={calls.FENCE: answer}))
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
        replace(
            planned, repository=repository, spec=spec, answers={calls.FENCE: Fenced(error="disk full", tablespaces=())}
        )
    )
    assert said(found) == verdict
    assert "disk full" in found.message
    assert "2026-11-23T11:55:00Z" in found.message


def killed(facts: RestoreFacts) -> RestoreFacts:
    return replace(facts, pods=())


def silent(facts: RestoreFacts) -> RestoreFacts:
    return replace(facts, answers={calls.FENCE: Fenced(error="the agent at 10.0.0.7 cannot be reached")})


def scaled_down(facts: RestoreFacts) -> RestoreFacts:
    (found,) = facts.workloads
    return replace(killed(facts), workloads=(found | {"spec": found["spec"] | {"replicas": 0}},))


@pytest.mark.parametrize(
    ("how", "seconds", "verdict"),
    [
        (killed, 5, ("wait", "Fencing")),
        (killed, 61, ("done", "ArchivedOnly")),
        (scaled_down, 5, ("done", "ArchivedOnly")),
        (silent, 5, ("wait", "Fencing")),
        (silent, 61, ("fail", "TargetNotReachable")),
    ],
    ids=["killed", "killed and gone", "scaled down", "its agent is silent", "its agent stays silent"],
)
def test_a_pod_that_is_replaced_is_waited_for_as_its_volume_has_what_is_not_archived(planned, how, seconds, verdict):
    status = {"recoveryWindow": [{"storage": "local", "latest": "2026-11-23T11:55:00Z"}]}
    spec = RestoreSpec(repository="hippo", target=RestoreTarget(time="2026-11-23T11:59:00Z"))
    at = (planned.now - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    done = {"type": "Validated", "status": "True", "reason": "Valid", "lastTransitionTime": at}
    restore = planned.restore | {"status": {"conditions": [done]}}
    facts = replace(planned, repository=planned.repository | {"status": status}, spec=spec, restore=restore)
    assert said(steps_prepare.fenced(how(facts))) == verdict


def test_the_end_of_a_backup_needs_no_fence(planned):
    spec = RestoreSpec(repository="hippo", target=RestoreTarget(immediate=True))
    assert said(steps_prepare.fenced(replace(planned, spec=spec))) == ("done", "NotNeeded")


def test_as_of_an_earlier_time_nothing_is_archived_first_and_no_gap_of_today_counts(begin, monkeypatch):
    spec = RestoreSpec(
        repository="hippo", storage="local", volume_claim="rescued", repo_target_time="2026-11-23T11:30:00Z"
    )
    monkeypatch.setattr("pgwarden.rules.wal_gaps.problem", lambda *_: "lies behind a gap")
    now = {"postgres": {"tablespaces": [{"name": "fast", "location": "/var/lib/postgresql/data/fast"}]}}
    facts = replace(begin, spec=spec, repository=begin.repository | {"status": now})
    found = steps_prepare.validated(facts)
    assert (found.kind, "as of 2026-11-23T11:30:00Z" in found.message) == ("done", True)
    fenced = steps_prepare.fenced(replace(facts, plan=found.plan))
    assert (fenced.kind, fenced.settled, fenced.action) == ("done", True, None)
    assert fenced.plan.tablespaces == ["/var/lib/postgresql/data/fast"]
