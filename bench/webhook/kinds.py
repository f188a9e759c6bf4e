"""What is sent besides pods of a few templates: our own kinds with every rule, and pods that are like no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.webhook import shapes

#: Of the validating path.
NAMES = ("BackupSchedule", "Repository")
_SPECS: dict[str, dict[str, Any]] = {
    "BackupSchedule": {
        "repository": "hippo",
        "schedule": "30 15 1-7/2 * MON-FRI",
        "timeZone": "Europe/Zurich",
        "type": "full",
        "storage": "local",
        "options": ["--repo1-retention-full=7 --start-fast", "--process-max=4", "--annotation=made=by-bench"],
        "suspend": False,
        "startingDeadlineSeconds": 600,
        "successfulHistoryLimit": 3,
        "failedHistoryLimit": 3,
    },
    "Repository": {
        "storageType": "local,s3",
        "local": {"size": "100Gi", "storageClassName": "fast"},
        "s3": {
            "bucket": f"backups-{shapes.MARK}",
            "endpoint": "minio.storage.svc:9000",
            "region": "eu-central-1",
            "path": "/pg/zoo",
            "uriStyle": "path",
            "verifyTLS": True,
            "keyType": "shared",
            "credentialsSecretRef": {"name": "s3"},
        },
        "postgres": {
            "port": 5432,
            "user": "postgres",
            "database": "postgres",
            "socketDirectory": "/var/run/postgresql",
        },
        "retention": {"full": 4, "fullType": "count", "diff": 6},
        "options": [
            "--archive-async --process-max=4",
            "--compress-type=zst",
            "--repo2-bundle",
            "--archive-push-queue-max=1TiB",
        ],
    },
}


def write(folder: Path) -> None:
    """Files of bodies, a line each."""
    for name in NAMES:
        (folder / name).write_bytes(_review(name))
    strangers = [json.loads(json.dumps(pod)) for pod in shapes.pods()]
    for pod in strangers:
        for container in pod["spec"]["containers"]:
            container.setdefault("args", []).append(f"--cluster-name=db-{shapes.MARK}")
    (folder / "strangers").write_bytes(b"\n".join(shapes.review(pod) for pod in strangers))


def _review(name: str) -> bytes:
    plural = {"BackupSchedule": "backupschedules", "Repository": "repositories"}[name]
    kind = {"group": "pgwarden.io", "version": "v1alpha1", "kind": name}
    metadata = {"name": f"one-{shapes.MARK}", "namespace": shapes.NAMESPACE, "uid": "0b2d5e0a", "generation": 1}
    obj = {"apiVersion": "pgwarden.io/v1alpha1", "kind": name, "metadata": metadata, "spec": _SPECS[name]}
    return shapes.review(obj, kind=kind, resource=plural)
