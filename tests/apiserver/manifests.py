"""Our kinds, as short as they can be written."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
S3 = {
    "bucket": "backups",
    "endpoint": "minio.storage.svc:9000",
    "region": "us-east-1",
    "credentialsSecretRef": {"name": "s3"},
}


def made(kind: str, name: str, **spec: Any) -> Object:
    return {"apiVersion": "pgwarden.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def repository(name: str, **spec: Any) -> Object:
    return made("Repository", name, **({"storageType": "local", "retention": {"full": 2}} | spec))


def backup(name: str, **spec: Any) -> Object:
    return made("Backup", name, **({"repository": "hippo"} | spec))


def schedule(name: str, **spec: Any) -> Object:
    return made("BackupSchedule", name, **({"repository": "hippo", "schedule": "0 1 * * *"} | spec))


def drill_schedule(name: str, **spec: Any) -> Object:
    return made("RestoreDrillSchedule", name, **({"repository": "hippo", "schedule": "0 4 * * 0"} | spec))


def restore(name: str, **spec: Any) -> Object:
    return made("Restore", name, **({"repository": "hippo"} | spec))


def cluster(name: str, **spec: Any) -> Object:
    """A PostgresCluster."""
    instances = {"replicas": 1, "storage": {"size": "1Gi"}}
    return made("PostgresCluster", name, **({"instances": instances, "repository": {"storageType": "local"}} | spec))


def postgres_pod(name: str, repository: str = "hippo") -> Object:
    """A pod that nothing is wrong with; without a *repository* it carries no label of ours."""
    labels = {"app": "postgres"} | ({"pgwarden.io/repository": repository} if repository else {})
    container = {
        "name": "postgres",
        "image": "postgres:17",
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
    }
    spec = {"containers": [container], "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
