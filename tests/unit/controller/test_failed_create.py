"""Why Kubernetes creates no pod: read from its Events, and only where a pod is missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from controller import failed_create, pods
from controller.failed_create import Refused, Workloads
from pgwarden.api import names
from pgwarden.kube import errors, paths
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
QUOTA = "exceeded quota: small, requested: limits.cpu=1, used: limits.cpu=0, limited: limits.cpu=500m"
JOB = {"metadata": {"name": "b-backup", "namespace": "ns", "uid": "j", "creationTimestamp": "2026-11-28T11:59:00Z"}}


def said(ago: timedelta) -> str:
    return (NOW - ago).isoformat().replace("+00:00", "Z")


def event(message: str, kind: str = "Job", name: str = "b-backup", uid: str = "j", ago: int = 5) -> dict[str, Any]:
    about = {"kind": kind, "name": name, "uid": uid}
    at = said(timedelta(seconds=ago))
    return {"involvedObject": about, "reason": "FailedCreate", "message": message, "lastTimestamp": at}


class Api(KubeClient):
    def __init__(self, *events: dict[str, Any], **there: dict[str, Any]) -> None:
        super().__init__(Access("http://fake", None))
        self.events, self.there = list(events), there
        self.asked: list[str] = []
        self.error: Exception | None = None

    async def request(self, method: str, path: str, *, params: Any = None, **_: Any) -> Any:
        if path != paths.of("events", "ns"):
            found = self.there.get(path.rpartition("/")[2])
            if found is None:
                raise errors.NotFound(404, "NotFound", path)
            return found
        self.asked.append(params["fieldSelector"])
        if self.error:
            raise self.error
        wanted = dict(term.split("=") for term in params["fieldSelector"].split(","))
        assert wanted["reason"] == "FailedCreate"
        uid = wanted.get("involvedObject.uid")
        return {"items": [one for one in self.events if uid in {None, one["involvedObject"]["uid"]}]}


def refused_words(suffix: str) -> str:
    return f'Error creating: pods "b-backup-{suffix}" is forbidden: {QUOTA}'


async def test_the_newest_word_on_a_job_without_a_pod_is_told_the_same_for_each_attempt():
    api = Api(event(refused_words("x7k2p"), ago=60), event(refused_words("abcde")), event("another's", uid="other"))
    assert await failed_create.of_job(api, JOB, [], NOW) == f'pods "b-backup" is forbidden: {QUOTA}'


async def test_a_job_with_a_pod_or_that_is_over_or_new_is_not_asked_about():
    api = Api(event(refused_words("x7k2p")))
    done = JOB | {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}
    new = {"metadata": JOB["metadata"] | {"creationTimestamp": "2026-11-28T11:59:59Z"}}
    for job, own in ((JOB, [{}]), (done, []), (new, []), (None, [])):
        assert await failed_create.of_job(api, job, own, NOW) == ""
    assert api.asked == []


@pytest.mark.parametrize("error", [errors.Invalid(403, "Forbidden", "no"), TimeoutError(), OSError("gone")])
async def test_events_that_cannot_be_read_explain_nothing_and_stop_nothing(error):
    api = Api(event(refused_words("x7k2p")))
    api.error = error
    assert await failed_create.of_job(api, JOB, [], NOW) == ""


def test_a_deployments_words_lose_the_made_up_name_too():
    message = f'pods "hippo-pgbackrest-6d5f7b9c8-x2x4z" is forbidden: {QUOTA}'
    condition = {"type": "ReplicaFailure", "status": "True", "message": message}
    assert pods.refused({"status": {"conditions": [condition]}}) == (
        f'pods "hippo-pgbackrest-6d5f7b9c8" is forbidden: {QUOTA}'
    )


def workload(replicas: int = 1, there: int = 0, repository: str = "hippo") -> dict[str, Any]:
    template = {"metadata": {"labels": {names.LABEL_REPOSITORY: repository}}}
    return {"spec": {"replicas": replicas, "template": template}, "status": {"replicas": there}}


def watcher(api: Api) -> tuple[Workloads, SimpleNamespace]:
    context = SimpleNamespace(client=api, clock=lambda: context.now, now=NOW)
    return Workloads(context), context  # type: ignore[arg-type]


REFUSED = f'create Pod pg-0 in StatefulSet pg failed error: pods "pg-0" is forbidden: {QUOTA}'


async def test_a_labelled_statefulset_whose_pod_is_refused_is_named_with_kubernetes_words():
    api = Api(event(REFUSED, "StatefulSet", "pg"), pg=workload())
    found, _ = watcher(api)
    assert await found.of(("ns", "hippo")) == (Refused("StatefulSet", "pg", REFUSED),)


@pytest.mark.parametrize(
    ("why", "counts"),
    [
        ('pods "pg-0" is forbidden: exceeded quota: small, requested: limits.cpu=1050m, used: limits.cpu=0', True),
        ("exceeded quota: small, requested: requests.memory=1Gi, used: requests.memory=0", True),
        ("exceeded quota: small, requested: memory=1Gi, used: memory=0", True),
        ("exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1", False),
        ("maximum memory usage per Container is 64Mi, but limit is 128Mi", False),
        ("exceeded quota: cpu, requested: pods=1", False),
    ],
)
def test_where_a_quota_has_no_room_for_what_containers_have_the_sidecar_is_named_with_its_least(why, counts):
    said = str(Refused("StatefulSet", "pg", why))
    assert said.startswith(f"Kubernetes creates no pod of StatefulSet pg: {why}")
    assert ("with it counts its sidecar, 10m CPU and 32Mi (limits 50m and 128Mi) at least" in said) == counts


async def test_of_a_replicaset_its_deployment_is_named():
    words = f'Error creating: pods "pg-6d5f7b9c8-x2x4z" is forbidden: {QUOTA}'
    found, _ = watcher(Api(event(words, "ReplicaSet", "pg-6d5f7b9c8"), pg=workload()))
    (refused,) = await found.of(("ns", "hippo"))
    assert (refused.kind, refused.name) == ("Deployment", "pg")


OTHERS = {
    "it has all of its pods by now": (event(REFUSED, "StatefulSet", "pg"), workload(there=1)),
    "it is to have none": (event(REFUSED, "StatefulSet", "pg"), workload(replicas=0)),
    "it is of another Repository": (event(REFUSED, "StatefulSet", "pg"), workload(repository="rhino")),
    "it is long ago": (event(REFUSED, "StatefulSet", "pg", ago=3600), workload()),
    "it is a Job": (event(REFUSED, "Job", "pg"), workload()),
    "it has no name": (event(REFUSED, "StatefulSet", "../secrets/x"), workload()),
}


@pytest.mark.parametrize("case", OTHERS)
async def test_nobody_else_is_named(case):
    told, there = OTHERS[case]
    found, _ = watcher(Api(told, pg=there))
    assert await found.of(("ns", "hippo")) == ()


async def test_a_namespace_is_asked_about_every_ten_seconds():
    api = Api(event(REFUSED, "StatefulSet", "pg"), pg=workload())
    found, context = watcher(api)
    for _ in range(3):
        assert await found.of(("ns", "hippo"))
    assert len(api.asked) == 1
    context.now = NOW + timedelta(seconds=11)
    api.there["pg"] = workload(there=1)
    assert await found.of(("ns", "hippo")) == ()


# --- what keeps a pod that is there ------------------------------------------------------------------------------


def pod(state: dict[str, Any], last: dict[str, Any] | None = None, init: bool = False) -> dict[str, Any]:
    status = {"name": "pgwarden", "state": state} | ({"lastState": {"terminated": last}} if last else {})
    limits = {"resources": {"limits": {"memory": "256Mi"}}}
    return {
        "metadata": {"name": "pg-0"},
        "spec": {"initContainers": [{"name": "pgwarden"} | limits]},
        "status": {"initContainerStatuses" if init else "containerStatuses": [status]},
    }


KILLED = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-28T11:58:00Z"}


@pytest.mark.parametrize(
    "reason",
    ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"],
)
def test_a_container_that_cannot_start_is_told_in_kubernetes_words(reason):
    found = pods.held([pod({"waiting": {"reason": reason, "message": "no such thing"}})])
    assert found == pods.Held("PodNotStarting", f"pod pg-0: {reason}: no such thing")


def test_a_pod_without_a_node_is_told_in_the_schedulers_words():
    condition = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available: 3 Insufficient cpu."}
    one = {"metadata": {"name": "pg-0"}, "status": {"conditions": [condition]}}
    assert pods.held([one]) == pods.Held("PodUnschedulable", f"pod pg-0 cannot be scheduled: {condition['message']}")


def test_what_ended_for_want_of_memory_says_so():
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    assert pods.waiting_reason([pod(waiting, KILLED)]).endswith("back-off (it ended with OOMKilled)")


@pytest.mark.parametrize("init", [True, False])
def test_a_container_that_was_killed_for_want_of_memory_is_named_with_its_limit(init):
    found = pods.out_of_memory([pod({"running": {}}, KILLED, init=init)], NOW - timedelta(minutes=5))
    text = "container pgwarden of pod pg-0 was killed for want of memory (OOMKilled with a limit of 256Mi)"
    assert found == pods.Killed("pgwarden", text)
    assert pods.out_of_memory([pod({"running": {}}, KILLED)], NOW - timedelta(minutes=1)) is None
    assert pods.out_of_memory([pod({"running": {}}, KILLED | {"reason": "Error"})]) is None
    assert pods.out_of_memory([pod({"terminated": KILLED})]) is not None
