"""A Job with one container of its own, `pgbackrest`, and pods of it into which a mesh has put a proxy."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from pgwarden.api import names

Object = dict[str, Any]
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
#: On a pod of Job `one-backup`.
BY = {"apiVersion": "batch/v1", "kind": "Job", "name": "one-backup", "uid": "j", "controller": True}
#: How the one that the mesh has put there stands.
PROXY: dict[str, Object] = {
    "running": {"running": {}},
    "terminated": {"terminated": {"exitCode": 0, "finishedAt": "2026-11-23T12:00:00Z"}},
    "killed": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-23T12:00:00Z"}},
    "waiting": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}},
}


def stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def job(
    *, own: str = "pgbackrest", failed: int = 0, ended: str = "", why: str = "R", owner: str = "u-one", uid: str = "j"
) -> Object:
    metadata = {"name": "one-backup", "namespace": "ns", "uid": uid, "ownerReferences": [{"uid": owner}]}
    conditions = [{"type": ended, "status": "True", "reason": why, "message": "m"}] if ended else []
    status: Object = {"failed": failed, "conditions": conditions, "startTime": stamp(NOW - timedelta(hours=1))}
    if ended == "Complete":
        status["completionTime"] = stamp(NOW)
    spec = {"backoffLimit": 2, "template": {"spec": {"containers": [{"name": own}]}}}
    return {
        "metadata": metadata | {"creationTimestamp": stamp(NOW - timedelta(hours=1))},
        "spec": spec,
        "status": status,
    }


def pod(
    code: int | None = 0,
    said: Object | None = None,
    *,
    proxy: str = "running",
    ago: timedelta = timedelta(minutes=1),
    of: str = "j",
    own: str = "pgbackrest",
    **metadata: Any,
) -> Object:
    """*code*: with which our container has ended, *ago*; None: it runs. *proxy*: the state of the one beside it."""
    at = stamp(NOW - ago)
    terminated = {"exitCode": code, "message": json.dumps(said) if said else "", "finishedAt": at}
    statuses = [{"name": own, "state": {"running": {}} if code is None else {"terminated": terminated}}]
    if proxy:
        statuses.append({"name": "proxy", "state": PROXY[proxy]})
    over = code is not None and proxy not in {"running", "waiting"}
    phase = ("Failed" if code or proxy == "killed" else "Succeeded") if over else "Running"
    if proxy == "waiting":
        phase = "Pending"  # as the kubelet has it while one of the containers has never run
    about = {"name": "one-backup-x", "namespace": "ns", "uid": "p", "ownerReferences": [BY | {"uid": of}]}
    about |= {"labels": {names.LABEL_COMPONENT: "backup"}, "creationTimestamp": stamp(NOW - timedelta(hours=1))}
    return {
        "metadata": about | metadata,
        "status": {"phase": phase, "podIP": "10.0.0.9", "containerStatuses": statuses},
    }
