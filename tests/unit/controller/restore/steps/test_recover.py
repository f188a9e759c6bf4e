"""The steps of the recovery: Restored, Replayed, Recovered."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from controller.recovery import job as recovery_job
from controller.recovery.plan import Recovered
from controller.restore import proof, steps_recover
from controller.restore.decide import decide
from controller.restore.facts import RestoreFacts
from controller.restore.verdict import Create, Delete
from pgwarden.api.sizing import Asks
from pgwarden.contract import calls
from pgwarden.contract.calls import Outcome
from pgwarden.contract.recovery import Recovery
from tests.unit.controller import beside
from tests.unit.controller.restore.steps.situations import said

COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}
LATE = {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "late"}]}
BAD_SET = {"ok": False, "exitCode": 75, "error": "ERROR: [075]: no set"}
KILLED = {"ok": False, "exitCode": -1, "error": "ended by SIGTERM before it was done"}
HOLE = {"ok": False, "reason": "MissingSegment", "error": "segment 6 is missing"}
DONE = {"ok": True, "timeline": 3, "reached": "2026-11-23T11:00:00Z", "set": "20261123-110000F"}


def ended_pod(message):
    ended = {"message": json.dumps(message), "finishedAt": "2026-11-23T12:00:00Z"}
    return {
        "metadata": {"name": "x"},
        "spec": {"volumes": []},
        "status": {"phase": "Failed", "containerStatuses": [{"name": "postgres", "state": {"terminated": ended}}]},
    }


def running(facts: RestoreFacts, **words) -> RestoreFacts:
    """*facts* with a Job whose agent says *words*."""
    pod = {"metadata": {"name": "x"}, "spec": {}, "status": {"phase": "Running", "podIP": "10.0.0.9"}}
    said_ = Recovery(**words) if words else None
    return replace(facts, job=job({}), job_pods=(pod,), recovery=said_)


def job(status):
    return {"metadata": {"name": "back-restore-1", "ownerReferences": [{"uid": "r-1"}]}, "status": status}


@pytest.mark.parametrize(
    ("status", "pods", "verdict", "words"),
    [
        ({}, [], ("wait", "Running"), "Job back-restore-1 is starting"),
        ({"startTime": "2026-11-22T00:00:00Z"}, [], ("wait", "JobStuck"), "has no pod: a quota or a policy may refuse it"),
        ({"failed": 1}, [ended_pod(KILLED)], ("wait", "Retrying"), "attempt 2 of 4; the last one failed: ended by SIGTERM"),
        ({"failed": 1}, [ended_pod(BAD_SET)], ("fail", "RestoreFailed"), "ERROR: [075]: no set"),
        ({"failed": 1}, [ended_pod(HOLE)], ("fail", "MissingSegment"), "segment 6 is missing"),
        (LATE, [], ("fail", "RestoreFailed"), "DeadlineExceeded: late"),
        (COMPLETE, [ended_pod(DONE)], ("done", "Restored"), "set 20261123-110000F is on volume pv-new"),
    ],
    ids=["starting", "no pod", "killed once", "no such set", "a hole in the WAL", "too late", "complete"],
)  # fmt: skip
def test_restored(planned, status, pods, verdict, words):
    found = steps_recover.restored(replace(planned, job=job(status), job_pods=tuple(pods)))
    assert said(found) == verdict
    assert words in found.message


REFUSED = 'pods "back-restore-1" is forbidden: failed quota: small: must specify limits.cpu'


def test_a_job_without_a_pod_is_told_in_kubernetes_words(planned):
    body = steps_recover._body(planned) | {"status": {}}
    body["metadata"] |= {"uid": "j"}
    found = steps_recover.restored(replace(planned, job=body, job_refused=REFUSED))
    assert said(found) == ("wait", "JobStuck")
    assert found.message == f"Job back-restore-1: Kubernetes creates no pod of it: {REFUSED}"


def test_a_job_that_a_newer_quota_refuses_is_made_anew_with_what_that_asks_for(planned):
    """Its template stays as it is; it has no pod, so nothing is lost."""
    body = steps_recover._body(planned) | {"status": {}}
    body["metadata"] |= {"uid": "j"}
    asked = Asks(named=frozenset({"limits.cpu"}))
    found = steps_recover.restored(replace(planned, job=body, job_refused=REFUSED, asks=asked))
    assert found.action == Delete("jobs", "ns", "back-restore-1", "j")
    fitting = steps_recover._body(replace(planned, asks=asked)) | {"status": {}}
    fitting["metadata"] |= {"uid": "j"}
    again = steps_recover.restored(replace(planned, job=fitting, job_refused=REFUSED, asks=asked))
    assert said(again) == ("wait", "JobStuck")


def test_what_the_api_server_makes_of_a_quantity_is_the_same_size(planned):
    wanted = {"limits": {"cpu": "1000m", "memory": "1024Mi"}}
    facts = replace(planned, repo_spec=msgspec.structs.replace(planned.repo_spec, resources=wanted))
    body = json.loads(json.dumps(steps_recover._body(facts)).replace("1000m", "1").replace("1024Mi", "1Gi"))
    body["metadata"] |= {"uid": "j"}
    assert said(steps_recover.restored(replace(facts, job=body, job_refused=REFUSED))) == ("wait", "JobStuck")


def test_a_recovery_that_was_killed_for_want_of_memory_says_so(planned):
    ended = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-23T12:00:00Z"}
    status = {"phase": "Failed", "containerStatuses": [{"name": "postgres", "state": {"terminated": ended}}]}
    pod = {"metadata": {"name": "x"}, "spec": {"volumes": []}, "status": status}
    failed = {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "x"}]}
    ours = job(failed) | {"spec": {"template": {"spec": {"containers": [{"name": "postgres"}]}}}}
    ours["metadata"]["uid"] = "j-1"
    found = steps_recover.restored(replace(planned, job=ours, job_pods=(pod,)))
    assert "container postgres of pod x was killed for want of memory (OOMKilled)" in found.message
    assert "raise the Repository's spec.resources.limits.memory" in found.message
    strangers = steps_recover.restored(replace(planned, job=job(failed), job_pods=(pod,)))
    assert strangers.message.endswith("was killed for want of memory (OOMKilled)")


def test_a_replay_that_failed_between_two_looks_is_not_told_as_a_copy_that_failed(planned):
    facts = replace(planned, job=job({"failed": 1}), job_pods=(ended_pod(HOLE | {"set": "s", "copied": True}),))
    copied = steps_recover.restored(facts)
    assert said(copied) == ("done", "Restored")
    assert copied.message == "backup set s is on volume pv-new"
    failed = steps_recover.replayed(replace(facts, plan=copied.plan))
    assert said(failed) == ("fail", "MissingSegment")
    assert said(steps_recover.restored(replace(facts, volumes={}))) == ("fail", "MissingSegment"), "nothing to wait for"


def test_the_last_lines_of_the_log_are_kept_of_a_recovery_that_failed_between_two_looks(planned):
    before = {"phase": "Replaying", "segments": 3, "log": ["redo starts"]}
    facts = replace(planned, restore=planned.restore | {"status": {"recovery": before}}, job=job({"failed": 1}))
    pod = ended_pod(HOLE | {"log": [f"line {number}" for number in range(12)] + ["FATAL:  \x1b[31m no segment 6"]})
    kept = steps_recover.restored(replace(facts, job_pods=(pod,))).status["recovery"]
    assert (kept["phase"], kept["segments"], len(kept["log"])) == ("Replaying", 3, 10)
    assert "no segment 6" in kept["log"][-1]
    assert "\x1b" not in kept["log"][-1]
    assert steps_recover.restored(replace(facts, job_pods=(ended_pod(HOLE),))).status["recovery"] == before


@pytest.mark.parametrize(
    ("words", "verdict", "message"),
    [
        ({"phase": "Copying", "set": "s", "copied_percent": 45.6, "copied_bytes": 3 << 30}, ("wait", "Copying"), "set s: 46 % (3.0 GiB)"),
        ({"phase": "Copying", "reason": "StorageAway", "message": "no answer"}, ("wait", "StorageAway"), "no answer"),
        ({"phase": "Starting", "set": "s"}, ("done", "Restored"), "backup set s is on volume pv-new"),
    ],
    ids=["copying", "hindered", "copied"],
)  # fmt: skip
def test_restored_as_its_agent_says(planned, words, verdict, message):
    found = steps_recover.restored(running(planned, **words))
    assert said(found) == verdict
    assert message in found.message
    assert found.status["recovery"]["phase"] == words["phase"]


@pytest.mark.parametrize(
    ("words", "verdict", "message"),
    [
        ({"phase": "Replaying", "segment": "1A", "remaining": 600, "rate": 5.0, "last_replay_time": "2026-11-23T11:00:00Z"}, ("wait", "Replaying"),
         "up to segment 1A (last commit 2026-11-23T11:00:00Z); 600 segments left, about 2 min"),
        ({"phase": "Replaying", "segment": "1A", "advanced": "2026-11-23T11:55:01Z"}, ("wait", "StandsStill"), "has not advanced for 5 min"),
        ({"phase": "Replaying", "segment": "1A", "advanced": "2026-11-23T11:00:01Z"}, ("fail", "RecoveryTimeout"), "the limit is 3600 s"),
        ({"phase": "Following", "segment": "1A"}, ("done", "CaughtUp"), "up to segment 1A; it follows the archive"),
        ({"phase": "Following", "reason": "MissingSegment", "message": "1B is missing"}, ("wait", "MissingSegment"), "1B is missing"),
    ],
    ids=["replaying", "standing still", "standing still for too long", "caught up", "following before a hole"],
)  # fmt: skip
def test_replayed(planned, words, verdict, message):
    found = steps_recover.replayed(running(planned, **words))
    assert said(found) == verdict
    assert message in found.message


def test_the_limit_on_standing_still_can_be_raised_meanwhile(planned):
    still = running(planned, phase="Replaying", advanced="2026-11-23T10:00:00Z")
    assert said(steps_recover.replayed(still)) == ("fail", "RecoveryTimeout")
    patient = replace(still, spec=msgspec.structs.replace(still.spec, recovery_timeout_seconds=10_000))
    assert said(steps_recover.replayed(patient)) == ("wait", "StandsStill")


def test_an_agents_clock_that_is_ahead_is_no_standstill(planned):
    ahead = (planned.now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert said(steps_recover.replayed(running(planned, phase="Replaying", advanced=ahead))) == ("wait", "Replaying")


def test_recovered_tells_the_recovery_to_end_once_and_waits_for_its_result(planned):
    following = running(planned, phase="Following")
    asked = steps_recover.recovered(following)
    assert (asked.reason, asked.action.call.name) == ("Finishing", calls.RECOVERY_FINISH)
    failed = ended_pod(KILLED)  # an earlier attempt's: it comes first, and it still has its address
    failed["status"]["podIP"] = "10.0.0.1"
    again = steps_recover.recovered(replace(following, job_pods=(failed, *following.job_pods)))
    assert again.action.ip == "10.0.0.9"
    unheard = replace(following, answers={calls.RECOVERY_FINISH: Outcome(error="no answer")})
    assert "could not be told to finish: no answer" in steps_recover.recovered(unheard).message
    told = replace(following, answers={calls.RECOVERY_FINISH: Outcome(ok=True)})
    assert said(steps_recover.recovered(told)) == ("wait", "Finishing")
    stopped = {"type": "Stopped", "status": "True", "reason": "Stopped", "message": ""}
    stopped["lastTransitionTime"] = (planned.now - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for_hours = replace(unheard, restore=unheard.restore | {"status": {"conditions": [stopped]}})
    assert said(steps_recover.recovered(for_hours)) == ("fail", "RecoveryTimeout")
    ended = replace(told, job=job(COMPLETE), job_pods=(ended_pod(DONE),))
    done = steps_recover.recovered(ended)
    assert said(done) == ("done", "Recovered")
    assert done.plan.recovered == Recovered(timeline=3, reached="2026-11-23T11:00:00Z")
    assert (done.status["timeline"], done.status["recoveredTo"]) == (3, "2026-11-23T11:00:00Z")
    assert done.status["recovery"] is None


def test_what_a_recovery_to_a_moment_came_to_is_remembered_when_its_job_is_gone(planned):
    done = steps_recover.replayed(replace(planned, job=job(COMPLETE), job_pods=(ended_pod(DONE),)))
    later = steps_recover.recovered(replace(planned, plan=done.plan, job=None))
    assert (said(later), later.status["timeline"]) == (("done", "Recovered"), 3)


def test_a_result_that_is_lost_is_no_success(planned):
    found = steps_recover.replayed(replace(planned, job=job(COMPLETE), job_pods=()))
    assert said(found) == ("fail", "ResultLost")


def test_a_job_of_an_earlier_restore_of_that_name_is_waited_for(planned):
    earlier = {"metadata": {"name": "back-restore-1", "ownerReferences": [{"uid": "r-0"}]}, "status": {}}
    assert said(steps_recover.restored(replace(planned, job=earlier))) == ("wait", "JobGoing")
    assert isinstance(steps_recover.restored(planned).action, Create)


@pytest.mark.parametrize("phase", ["Copying", "Starting", "Following"])
def test_a_claim_that_is_deleted_is_not_restored_into_any_longer(planned, phase):
    """The Job's pod holds it for as long as it runs, which may be for ever."""
    claim = planned.claims["back-restored"]
    going = claim | {"metadata": claim["metadata"] | {"deletionTimestamp": "2026-11-23T12:00:30Z"}}
    facts = replace(running(planned, phase=phase), claims=planned.claims | {"back-restored": going})
    assert said(steps_recover.restored(facts)) == ("fail", "ClaimGone")
    assert said(steps_recover.replayed(facts)) == ("fail", "ClaimGone")
    stopped = replace(facts, plan=msgspec.structs.replace(facts.planned, stopped="2026-11-23T12:00:20Z"))
    assert steps_recover.recovered(stopped).kind != "fail"


def test_what_an_earlier_version_has_begun_is_left_to_its_user(planned):
    plan = msgspec.structs.replace(planned.plan, image="")
    assert said(steps_recover.restored(replace(planned, plan=plan))) == ("wait", "PlanOfEarlierVersion")


# --- a mesh's proxy beside PostgreSQL's container -----------------------------------------------------------------


def beside_a_proxy(
    facts: RestoreFacts, code: int | None, left: dict, *, failed: int = 0, proxy: str = "running"
) -> RestoreFacts:
    """The recovery's container has ended with *code* and left a result; what a mesh has put beside it runs."""
    one = beside.job(own="postgres", failed=failed, owner=facts.planned.restore_uid)
    one["spec"]["backoffLimit"] = recovery_job.RETRIES
    return replace(
        facts, job=one, job_pods=(beside.pod(code, left, proxy=proxy, own="postgres", spec={}),), recovery=None
    )


def test_a_recovery_has_ended_when_its_own_container_has(planned):
    assert said(steps_recover.restored(beside_a_proxy(planned, 0, DONE))) == ("done", "Restored")
    broken = beside_a_proxy(planned, 1, HOLE)
    assert said(steps_recover.restored(broken)) == ("fail", "MissingSegment")
    last = beside_a_proxy(planned, 1, KILLED, failed=recovery_job.RETRIES)
    found = steps_recover.restored(last)
    assert (said(found), "the last of 4 attempts" in found.message) == (("fail", "RestoreFailed"), True)


def test_a_pod_that_has_failed_beside_a_proxy_is_deleted_and_the_job_tries_again(planned):
    facts = beside_a_proxy(planned, 1, KILLED)
    found = steps_recover.restored(facts)
    assert (found.kind, found.reason, found.action) == ("act", "Retrying", Delete("pods", "ns", "one-backup-x", "p"))
    assert (
        "the last attempt failed: ended by SIGTERM before it was done (container proxy kept its pod)" in found.message
    )
    assert proof.unproven(facts, found.action) == ""
    foreign = Delete("pods", "ns", "postgres-0", "another")
    assert proof.unproven(facts, foreign) == "pod postgres-0 is not one of this Restore that has done its work"
    assert proof.unproven(beside_a_proxy(planned, None, {}), found.action), "it runs"


def test_a_pod_that_goes_already_is_waited_for(planned):
    facts = beside_a_proxy(planned, 1, KILLED)
    facts.job_pods[0]["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    assert said(steps_recover.restored(facts)) == ("wait", "Retrying")


@pytest.mark.parametrize("proxy", ["running", "killed"])
def test_a_copys_job_that_a_proxy_keeps_or_fails_goes_as_it_holds_the_claim(planned, proxy):
    aside = msgspec.structs.replace(
        planned.planned, workload_kind="", workload="", recovered=Recovered(timeline=3, reached="x")
    )
    facts = beside_a_proxy(replace(planned, plan=aside), 0, DONE, proxy=proxy)
    found = steps_recover.recovered(facts)
    assert found.action == Delete("jobs", "ns", "one-backup", "j")
    assert proof.unproven(facts, found.action) == ""
    done = replace(facts, job=facts.job | {"status": COMPLETE})
    assert said(steps_recover.recovered(done)) == ("done", "Recovered")
    in_place = replace(facts, plan=msgspec.structs.replace(aside, workload_kind="StatefulSet", workload="pg"))
    assert said(steps_recover.recovered(in_place)) == ("done", "Recovered")


def test_how_often_another_pod_was_tried_is_in_the_status(planned):
    begun = planned.restore | {"status": {"plan": planned.planned.dump()}}
    again = replace(planned, restore=begun, job=job({"failed": 2}))
    assert decide(again).status["retries"] == 2
    strangers = job({"failed": 2}) | {"metadata": {"name": "back-restore-1"}}
    assert "retries" not in decide(replace(again, job=strangers)).status
