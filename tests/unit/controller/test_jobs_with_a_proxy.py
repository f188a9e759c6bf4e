"""A Job is judged by its own containers: what others put beside them may run for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller import jobs
from controller.backup import progress
from controller.recovery import progress as recovery
from tests.unit.controller.beside import NOW, job, pod


@pytest.mark.parametrize(
    ("one", "pods", "state", "kept"),
    [
        pytest.param(job(), [pod(None)], "", False, id="it runs"),
        pytest.param(job(), [pod(0)], "Complete", True, id="it has ended well, the proxy has not"),
        pytest.param(job(), [pod(0, ago=timedelta(seconds=5))], "", False, id="the proxy may be about to end"),
        pytest.param(job(), [pod(0, proxy="terminated")], "", False, id="both have ended: Kubernetes says how"),
        pytest.param(job(), [pod(0, proxy="")], "", False, id="without a proxy"),
        pytest.param(job(failed=1), [pod(1)], "", True, id="it has failed: another try"),
        pytest.param(job(failed=2), [pod(1)], "Failed", True, id="it has failed for the last time"),
        pytest.param(job(), [pod(0, of="another")], "", False, id="a pod of another Job"),
        pytest.param(job(ended="Complete"), [pod(0)], "Complete", False, id="Kubernetes has said so"),
        pytest.param(job(ended="Failed"), [pod(None)], "Failed", False, id="and so"),
        pytest.param(job(), [pod(0, proxy="killed")], "Complete", True, id="its pod has failed for the proxy's sake"),
        pytest.param(job(failed=1), [pod(0, proxy="killed"), pod(None)], "Complete", True, id="and runs again"),
        pytest.param(job(ended="Failed"), [pod(0, proxy="killed")], "Complete", False, id="and has no try left"),
        pytest.param(job(), [pod(0, proxy="killed", deletionTimestamp="t")], "", False, id="it is ended from outside"),
        pytest.param(job(), [pod(0, proxy="killed", of="another")], "", False, id="a failed pod of another Job"),
        pytest.param(job(), [pod(1, proxy="killed")], "", False, id="both have failed: Kubernetes tries again"),
        pytest.param(job(), [pod(0, proxy="waiting")], "Complete", True, id="it has ended, the proxy never began"),
        pytest.param(job(own="postgres"), [pod(0)], "", False, id="only another's container has ended"),
    ],
)
def test_how_a_job_stands_is_told_by_the_containers_of_its_own_template(one, pods, state, kept):
    end = jobs.end(one, pods, NOW)
    assert (end.state, end.kept is not None) == (state, kept)


def test_the_end_is_when_our_container_ended_not_when_that_is_seen():
    end = jobs.end(job(), [pod(0, ago=timedelta(minutes=9))], NOW)
    assert end.at == NOW - timedelta(minutes=9)
    assert jobs.beside(job(), pod(0)) == ["proxy"]


def test_a_pod_whose_proxy_cannot_start_is_at_work_where_our_container_is():
    long_ago = [pod(None, proxy="waiting", creationTimestamp="2026-11-23T10:00:00Z")]
    assert progress.stuck(job(), long_ago, NOW) == ""
    assert progress.running(job(), long_ago, None, "", NOW) == ("JobRuns", "Job one-backup runs")
    found = recovery.judge(recovery.Seen(job(), tuple(long_ago)), NOW)
    assert found.reason != recovery.STUCK, found.message


def test_a_pod_of_which_nothing_has_begun_says_what_keeps_it():
    (one,) = [pod(None, proxy="waiting", creationTimestamp="2026-11-23T10:00:00Z")]
    one["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ContainerCreating"}}
    said = "pod one-backup-x: ImagePullBackOff: Back-off pulling image"
    assert progress.stuck(job(), [one], NOW) == said
    assert progress.running(job(), [one], None, "", NOW) == ("JobWaits", f"Job one-backup: {said}")


def test_what_a_container_that_is_not_ours_leaves_is_no_result():
    found = pod(1, {"ok": False, "error": "ERROR: [082]"}, proxy="terminated")
    found["status"]["containerStatuses"][1]["state"]["terminated"]["message"] = '{"ok": true}'
    assert jobs.result([found], job()).error == "ERROR: [082]"
    assert jobs.result([found]).ok is True
