"""A PostgresCluster with instances in any state, as the decisions see it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from controller import patroni
from controller.cluster.clone import Source
from controller.cluster.facts import ClusterFacts, Instance
from controller.nodes import Lack
from controller.recovery.progress import Seen
from pgwarden.api import names
from pgwarden.api.kinds import PostgresClusterSpec
from pgwarden.contract.job_result import JobResult
from pgwarden.contract.recovery import Recovery

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CURRENT, OLD = "current", "old"


def spec(**given: Any) -> PostgresClusterSpec:
    instances = {"replicas": given.pop("replicas", 3)}
    return msgspec.convert({"instances": instances} | given, PostgresClusterSpec)


def instance(
    number: int,
    role: str = "replica",
    *,
    state: str = "running",
    ready: bool = True,
    unready_for: int = 0,
    digest: str = CURRENT,
    of_pod: str = "",
    pending_restart: bool = False,
    replication: str = "streaming",
    restarted: str = "",
    lack: Lack | None = None,
    position: int | None = None,
    tls: bool = True,
    tls_of_pod: bool | None = None,
) -> Instance:
    """One whose pod is of *of_pod*'s template, which is its Deployment's unless it is given. *tls*: with certificates.

    *unready_for*: seconds; it is not ready.
    """
    name = f"hippo-{number}"
    state: dict[str, Any] = {"role": role, "state": state, "timeline": 1}
    if role == "replica":
        state["replication_state"] = replication
    if pending_restart:
        state["pending_restart"] = True
    if position is not None:
        state["xlog_location"] = position
    marks = {"pgwarden.io/template": digest} | ({"pgwarden.io/restarted": restarted} if restarted else {})
    condition = {"type": "Ready", "status": "True" if ready and not unready_for else "False"}
    if unready_for:
        condition["lastTransitionTime"] = (NOW - timedelta(seconds=unready_for)).strftime("%Y-%m-%dT%H:%M:%SZ")
    pod = {
        "metadata": {
            "name": f"{name}-pod",
            "annotations": marks | {"pgwarden.io/template": of_pod or digest, "status": json.dumps(state)},
        },
        "spec": _volumes(tls if tls_of_pod is None else tls_of_pod),
        "status": {"phase": "Running", "conditions": [condition]},
    }
    deployment = {
        "metadata": {"name": name, "namespace": "ns", "uid": f"u{number}"},
        "spec": {"template": {"metadata": {"annotations": marks}, "spec": _volumes(tls)}},
    }
    return Instance(name, number, deployment, pod, patroni.member(pod), lack)


def _volumes(tls: bool) -> dict[str, Any]:
    return {"volumes": [{"name": "tls"}]} if tls else {}


def facts(*instances: Instance, **given: Any) -> ClusterFacts:
    """Archived, with one backup, led by the first that says it is the primary, configured as it should be."""
    wanted = given.pop("spec", None) or spec()
    leader = next((one.pod_name for one in instances if one.member.role == "primary"), "")
    paused = given.pop("paused", False)
    store = {
        "leader": given.pop("leader", leader),
        "system_identifier": given.pop("system_identifier", "7"),
        "config": given.pop("config", patroni.dynamic("hippo", wanted, paused=paused)),
        "switching": given.pop("switching", False),
        "position": given.pop("position", None),
        "synchronous": frozenset(given.pop("synchronous", ())),
        "synchronous_leader": given.pop("synchronous_leader", ""),
    }
    ready = [{"type": "Ready", "status": "True"}]
    listed = given.pop("listed", [{"label": "F"}])
    repository = {"metadata": {"name": "hippo"}, "status": {"phase": "Ready", "conditions": ready, "backups": listed}}
    repository["status"]["lastBackup"] = listed[0] if listed else None
    metadata = {"name": "hippo", "namespace": "ns", "uid": "c", "generation": 3, "resourceVersion": "1"}
    cluster = {"metadata": metadata | {"finalizers": [names.FINALIZER_LAST_WAL]}, "spec": {}}
    values: dict[str, Any] = {
        "cluster": cluster | {"status": given.pop("status", {})},
        "spec": wanted,
        "now": NOW,
        "digest": CURRENT,
        "instances": instances,
        "store": patroni.Store(**store),
        "repository": repository,
        "own": Source({"metadata": {"name": "hippo"}, "spec": {}}),
    }
    return ClusterFacts(**(values | given))


def gathered(found: ClusterFacts) -> Any:
    """In place of gather: it has found *found*."""

    async def gather(*_: Any) -> ClusterFacts:
        return found

    return gather


def filling(ended: str = "", said: Recovery | None = None, **result: Any) -> Seen:
    """The recovery that fills the first instance's volume. *ended*: how its Job has, *result*: what its pod left."""
    conditions = [{"type": ended, "status": "True", "reason": "BackoffLimitExceeded", "message": "x"}] if ended else []
    job = {"metadata": {"name": "hippo-recovery", "namespace": "ns", "uid": "j"}, "status": {"conditions": conditions}}
    pod: dict[str, Any] = {"metadata": {"name": "hippo-recovery-pod"}, "status": {"phase": "Running"}}
    if result:
        message = msgspec.json.encode(JobResult(**result)).decode()
        state = {"terminated": {"exitCode": 0 if result["ok"] else 1, "message": message, "finishedAt": "2026"}}
        pod["status"] = {"phase": "Failed", "containerStatuses": [{"name": "postgres", "state": state}]}
    return Seen(job, (pod,), said)


def claim(*, filled: str = "", origin: str = "") -> dict[str, Any]:
    """Of the first instance. *filled*: what its recovery came to."""
    notes = {names.ANNOTATION_FILLED: filled, names.ANNOTATION_ORIGIN: origin}
    annotations = {key: value for key, value in notes.items() if value}
    return {"metadata": {"name": "hippo-1", "uid": "v", "annotations": annotations}}


@pytest.fixture
def whole() -> ClusterFacts:
    """Three instances, nothing to do."""
    return facts(instance(1, "primary"), instance(2), instance(3))
