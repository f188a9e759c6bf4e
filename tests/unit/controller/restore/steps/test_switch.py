"""The step at which PostgreSQL stops."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import msgspec
import pytest

from controller.recovery.plan import Recovered
from controller.restore import steps_switch, workload
from controller.restore.facts import RestoreFacts
from controller.restore.verdict import Delete, Dismiss
from pgwarden.api import names
from pgwarden.contract import calls
from pgwarden.contract.calls import Outcome
from pgwarden.contract.recovery import Recovery
from tests.unit.controller.restore.steps.situations import merged, said


def test_nothing_stops_when_something_has_come_in_between(planned):
    other = merged(planned.claims["data-pg-0"], {"metadata": {"uid": "other"}})
    assert said(steps_switch.stopped(replace(planned, claims=planned.claims | {"data-pg-0": other}))) == (
        "fail",
        "ClaimChanged",
    )
    assert said(steps_switch.stopped(replace(planned, claims={"data-pg-0": other}))) == ("fail", "ClaimChanged")


def followed(facts: RestoreFacts) -> RestoreFacts:
    """With a recovery that follows the old PostgreSQL."""
    pod = {"metadata": {"name": "x"}, "spec": {}, "status": {"phase": "Running", "podIP": "10.0.0.9"}}
    job = {"metadata": {"name": "back-restore-1", "ownerReferences": [{"uid": "r-1"}]}, "status": {}}
    return replace(facts, job=job, job_pods=(pod,), recovery=Recovery(phase="Following"))


def test_postgres_is_not_stopped_while_nobody_follows_it(planned):
    there = followed(planned)
    assert steps_switch.stopped(there).reason == "Stopping"
    assert steps_switch.stopped(replace(there, job=None, job_pods=(), recovery=None)).action.plural == "jobs"
    silent = replace(there, recovery=None)
    assert said(steps_switch.stopped(silent)) == ("wait", "Running")
    again = steps_switch.stopped(replace(there, recovery=Recovery(phase="Replaying", segment="1A")))
    assert said(again) == ("wait", "Replaying")
    assert "not stopping PostgreSQL until the recovery follows it again" in again.message
    assert "segment 1A" in again.message


def test_both_volumes_are_kept_before_anything_stops(planned):
    planned = followed(planned)
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
    kept = replace(planned, volumes=retained)
    asked = steps_switch.stopped(kept)
    assert asked.action.call.name == calls.CHECKPOINT  # whatever it answers, PostgreSQL is stopped
    second = steps_switch.stopped(replace(kept, answers={calls.CHECKPOINT: Outcome(error="no")}))
    assert second.action.body["spec"] == {"replicas": 0}


def test_stopped_waits_for_pods_and_job(planned):
    held = copy.deepcopy(planned.workloads[0])
    held["spec"]["replicas"] = 0
    held["metadata"]["annotations"] = {names.ANNOTATION_STOPPED_BY: planned.plan.dump()}
    over = msgspec.structs.replace(planned.plan, recovered=Recovered(timeline=2))
    there = replace(planned, plan=over, workloads=(held,))
    assert said(steps_switch.stopped(_swapped_ahead(there))) == ("wait", "Stopping")
    gone = replace(there, pods=())
    assert said(steps_switch.stopped(gone)) == ("done", "Stopped")
    job = {"metadata": {"name": "back-restore-1", "uid": "j-1"}}
    assert steps_switch.stopped(replace(gone, job=job)).action == Delete("jobs", "ns", "back-restore-1", "j-1")
    user = {
        "metadata": {"name": "psql"},
        "spec": {"volumes": [{"name": "x", "persistentVolumeClaim": {"claimName": "data-pg-0"}}]},
    }
    assert said(steps_switch.stopped(replace(gone, pods=(user,)))) == ("wait", "ClaimInUse")


def stopping(planned) -> RestoreFacts:
    """The recovery is over, the workload is scaled to 0."""
    held = copy.deepcopy(planned.workloads[0])
    held["spec"]["replicas"] = 0
    held["metadata"]["annotations"] = {names.ANNOTATION_STOPPED_BY: planned.plan.dump()}
    over = msgspec.structs.replace(planned.plan, recovered=Recovered(timeline=2))
    return _swapped_ahead(replace(planned, plan=over, workloads=(held,)))


def ended_pod(pod):
    """*pod* on its way, with all that its node says in the end."""
    over = {"terminated": {"exitCode": 0}}
    status = {
        "phase": "Succeeded",
        "initContainerStatuses": [{"name": "pgwarden", "state": over}],
        "containerStatuses": [{"name": one["name"], "state": over} for one in pod["spec"]["containers"]],
    }
    spec = pod["spec"] | {"initContainers": [{"name": "pgwarden", "restartPolicy": "Always"}]}
    metadata = pod["metadata"] | {"deletionTimestamp": "2026-11-23T12:00:05Z", "deletionGracePeriodSeconds": 30}
    return copy.deepcopy(pod | {"metadata": metadata, "spec": spec, "status": status})


def of_postgres(facts):
    return next(pod for pod in facts.pods if pod["metadata"]["name"] == "pg-0")


def test_a_pod_that_has_ended_is_not_waited_for(planned):
    """Its node takes it away a second later."""
    facts = stopping(planned)
    pod = ended_pod(of_postgres(facts))
    found = steps_switch.stopped(replace(facts, pods=(pod,)))
    assert found.action == Dismiss("ns", "pg-0", pod["metadata"]["uid"])
    assert found.message == "waiting for pod pg-0 to end"
    kept = ended_pod(of_postgres(facts) | {"metadata": of_postgres(facts)["metadata"] | {"name": "pg-1", "uid": "u-1"}})
    kept["metadata"]["deletionGracePeriodSeconds"] = 0  # only a finalizer keeps it
    assert steps_switch.stopped(replace(facts, pods=(kept, pod))).action == found.action


@pytest.mark.parametrize(
    "change",
    [
        lambda pod: pod["metadata"].pop("deletionGracePeriodSeconds"),
        lambda pod: pod["metadata"].update(deletionGracePeriodSeconds=0),
        lambda pod: pod["status"]["initContainerStatuses"][0].update(state={"running": {}}),
        lambda pod: pod["status"].update(phase="Running"),
        lambda pod: pod["status"]["containerStatuses"].pop(),
        lambda pod: pod["status"]["containerStatuses"][0].update(state={"running": {}}),
        lambda pod: pod["status"].pop("containerStatuses"),
    ],
    ids=[
        "it is not deleted",
        "a finalizer keeps it",
        "its sidecar runs",
        "it runs",
        "one is not told of",
        "one runs",
        "its node is gone",
    ],
)
def test_any_other_pod_is_waited_for(planned, change):
    facts = stopping(planned)
    pod = ended_pod(of_postgres(facts))
    change(pod)
    assert said(steps_switch.stopped(replace(facts, pods=(pod,)))) == ("wait", "Stopping")


def test_the_jobs_pod_that_has_ended_is_not_waited_for(planned):
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": planned.plan.new_claim}}
    spec = {"volumes": [claim], "containers": [{"name": "postgres"}]}
    pod = ended_pod({"metadata": {"name": "back-x", "uid": "p-9"}, "spec": spec})
    facts = replace(stopping(planned), pods=(), job_pods=(pod,))
    assert steps_switch.stopped(facts).action == Dismiss("ns", "back-x", "p-9")


def test_only_who_was_scaled_to_zero_can_have_been_scaled_up_since(planned):
    """What is waited for before the stop is told in words that begin alike."""

    def after(message: str) -> str:
        restore = planned.restore | {"status": {"message": message}}
        return steps_switch.hold(replace(planned, restore=restore), planned.plan).reason

    assert after("waiting for Job back-restore-1 to be deleted") == "Stopping"
    assert after("waiting for the Job's pod back-restore-1-x to end") == "Stopping"
    assert after("waiting for pod pg-0 to end") == "ScaledUp"


def _swapped_ahead(facts):
    """Only what Kubernetes keeps until the pods have ended is left."""
    going = merged(facts.claims["data-pg-0"], {"metadata": {"deletionTimestamp": "2026-11-23T12:00:05Z"}})
    spec = {"persistentVolumeReclaimPolicy": "Retain", "claimRef": {"namespace": "ns", "name": "data-pg-0"}}
    volumes = facts.volumes | {"pv-new": merged(facts.volumes["pv-new"], {"spec": spec})}
    volumes["pv-old"] = merged(volumes["pv-old"], {"spec": {"persistentVolumeReclaimPolicy": "Retain"}})
    return replace(facts, claims={"data-pg-0": going}, volumes=volumes)


def test_while_the_pods_end_the_swap_begins_where_the_recovery_is_over(planned):
    held = copy.deepcopy(planned.workloads[0])
    held["spec"]["replicas"] = 0
    held["metadata"]["annotations"] = {names.ANNOTATION_STOPPED_BY: planned.plan.dump()}
    facts = replace(planned, workloads=(held,))
    assert said(steps_switch.stopped(facts)) == ("wait", "Stopping")  # the recovery follows, in its claim
    over = msgspec.structs.replace(planned.plan, recovered=Recovered(timeline=2))
    first = steps_switch.stopped(replace(facts, plan=over))
    assert (first.action.plural, first.action.name) == ("persistentvolumes", "pv-new")
    ready = replace(_swapped_ahead(facts), plan=over, claims=facts.claims)
    assert steps_switch.stopped(ready).action.name == "back-restored"
    without = replace(ready, claims={"data-pg-0": facts.claims["data-pg-0"]})
    assert steps_switch.stopped(without).action.name == "data-pg-0"


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
