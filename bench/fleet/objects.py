"""The objects of a fleet, by their numbers. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pgwarden.api import names
from pgwarden.kube import paths

Object = dict[str, Any]
Request = tuple[str, str, Object]  # method, path, body
IN_NAMESPACE = 20  # Repositories
#: For each Repository.
SCHEDULES, BACKUPS, RESTORES, STRANGERS = 10, 20, 2, 5
#: One Repository in so many is behind a storage that hangs: 40 of 1,000.
HANGING = 25
ENDED = datetime(2026, 11, 1, 3, 0, tzinfo=UTC)
FACTS = {
    "container": "postgres", "dataDirectory": "/var/lib/postgresql/data/pgdata", "port": 5432,
    "socketDirectory": "/var/run/postgresql", "user": "postgres", "database": "postgres", "runAsUser": 999,
    "runAsGroup": 999, "configuredBy": "Arguments", "dataVolume": "data",
}  # fmt: skip


@dataclass(frozen=True)
class Member:
    """One Repository and what belongs to it."""

    number: int

    @property
    def namespace(self) -> str:
        return f"fleet-{self.number // IN_NAMESPACE:03}"

    @property
    def name(self) -> str:
        return f"db-{self.number:05}"

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name

    @property
    def host_ip(self) -> str:
        return _address(1, self.number)

    @property
    def pod_ip(self) -> str:
        return _address(2, self.number)

    @property
    def hangs(self) -> bool:
        return self.number % HANGING == HANGING // 2


def _address(net: int, number: int) -> str:
    return f"127.{net}.{number // 250}.{number % 250 + 1}"


def stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _ours(kind: str, member: Member, name: str, spec: Object, **metadata: Any) -> Request:
    about = {"name": name, "namespace": member.namespace} | metadata
    body = {"apiVersion": names.API_VERSION, "kind": kind, "metadata": about, "spec": spec}
    return "POST", paths.of({"Repository": "repositories"}.get(kind, f"{kind.lower()}s"), member.namespace), body


def namespaces(members: list[Member]) -> Iterator[Request]:
    for name in sorted({one.namespace for one in members}):
        yield "POST", paths.of("namespaces"), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def secret(member: Member) -> Request:
    metadata = {"name": f"{member.name}-keys", "namespace": member.namespace}
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "stringData": {"s3-key": "k", "s3-key-secret": "s"},
    }
    return "POST", paths.of("secrets", member.namespace), body


def repository(member: Member) -> Request:
    s3 = {"bucket": "backups", "endpoint": "s3.example", "region": "r", "uriStyle": "path"}
    s3 |= {"credentialsSecretRef": {"name": f"{member.name}-keys"}}
    return _ours("Repository", member, member.name, {"storageType": "s3", "s3": s3, "retention": {"full": 30}})


def postgres_pod(member: Member) -> Request:
    metadata = {
        "name": f"{member.name}-0",
        "namespace": member.namespace,
        "labels": {names.LABEL_REPOSITORY: member.name, "app": member.name},
        "annotations": {names.ANNOTATION_POSTGRES: json.dumps(FACTS)},
    }
    containers = [{"name": name, "image": "postgres:17"} for name in ("postgres", "pgwarden")]
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}}
    return "POST", paths.of("pods", member.namespace), body


def running(ip: str) -> Object:
    """The status of a pod that is well."""
    ready = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Ready")]
    return {"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": ready}}


def schedules(member: Member, hour: int) -> Iterator[Request]:
    for n in range(SCHEDULES):
        spec = {
            "repository": member.name,
            "type": "incr",
            "schedule": f"{(member.number + 6 * n) % 60} {hour} * * {n % 7}",
        }
        yield _ours("BackupSchedule", member, f"{member.name}-s{n}", spec)


def backup_name(member: Member, n: int) -> str:
    return f"{member.name}-b{n:02}"


def ended_at(n: int) -> datetime:
    return ENDED + timedelta(days=n)


def label(n: int) -> str:
    """Of the set that Backup number *n* made."""
    return f"{ended_at(n) - timedelta(minutes=10):%Y%m%d-%H%M%S}F"


def backups(member: Member) -> Iterator[Request]:
    for n in range(BACKUPS):
        yield _ours("Backup", member, backup_name(member, n), {"repository": member.name, "type": "full"})


def restores(member: Member) -> Iterator[Request]:
    for n in range(RESTORES):
        yield _ours("Restore", member, f"{member.name}-r{n}", {"repository": member.name})


def ended_backup(n: int) -> Object:
    """The status of Backup number *n*."""
    end = stamp(ended_at(n))
    conditions = [
        {"type": "Completed", "status": "True", "reason": "Completed", "message": f"set {label(n)} is complete",
         "observedGeneration": 1, "lastTransitionTime": end},
        {"type": "Available", "status": "True", "reason": "InRepository", "message": f"set {label(n)} is in the repository",
         "observedGeneration": 1, "lastTransitionTime": end},
    ]  # fmt: skip
    return {
        "observedGeneration": 1, "phase": "Completed", "reason": "Completed", "message": f"set {label(n)} is complete",
        "startTime": stamp(ended_at(n) - timedelta(minutes=10)), "completionTime": end, "type": "full", "storage": "s3",
        "repo": 1, "label": label(n), "conditions": conditions,
    }  # fmt: skip


def ended_restore() -> Object:
    end = stamp(ENDED + timedelta(days=5))
    return {
        "observedGeneration": 1, "phase": "Completed", "reason": "Completed", "message": "restored",
        "startTime": end, "completionTime": end,
    }  # fmt: skip


def strangers(member: Member) -> Iterator[Request]:
    """Deployments and StatefulSets that have nothing to do with us, of the size that such things have."""
    for n in range(STRANGERS):
        name, plural = f"app-{member.number:05}-{n}", "deployments" if n % 2 else "statefulsets"
        labels = {"app": name, "app.kubernetes.io/managed-by": "Helm", "team": member.namespace}
        noise = {f"example.com/note-{i}": "x" * 200 for i in range(10)}
        env = [{"name": f"SETTING_{i}", "value": "v" * 60} for i in range(40)]
        container = {"name": "app", "image": "registry.example/app:1.2.3", "env": env}
        template = {"metadata": {"labels": labels, "annotations": noise}, "spec": {"containers": [container]}}
        spec: Object = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
        kind = {"deployments": "Deployment", "statefulsets": "StatefulSet"}[plural]
        metadata = {"name": name, "namespace": member.namespace, "labels": labels, "annotations": noise}
        yield "POST", paths.of(plural, member.namespace), {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata,
              "spec": spec | ({"serviceName": name} if kind == "StatefulSet" else {})}  # fmt: skip
