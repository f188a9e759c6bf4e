"""What is sent besides pods of a few templates: our own kinds with every rule, and pods that are like no other."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.webhook import shapes

#: Of the validating path.
NAMES = ("BackupSchedule", "Repository")
#: BackupSchedules whose expressions the webhook has not seen, or has forgotten since: it caches 256.
NEW = "new-schedules"
_DISTINCT = 5000
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
        (folder / name).write_bytes(_review(name, _SPECS[name]))
    spec = _SPECS["BackupSchedule"]
    new = (_review("BackupSchedule", spec | {"schedule": text}) for text in _expressions())
    (folder / NEW).write_bytes(b"\n".join(new))
    strangers = [json.loads(json.dumps(pod)) for pod in shapes.pods()]
    for pod in strangers:
        for container in pod["spec"]["containers"]:
            container.setdefault("args", []).append(f"--cluster-name=db-{shapes.MARK}")
    (folder / "strangers").write_bytes(b"\n".join(shapes.review(pod) for pod in strangers))


def _expressions() -> Iterator[str]:
    """Distinct ones, short and long; the same ones in every run."""
    rng, seen = random.Random(12), set[str]()
    days = [("*", "*"), ("?", "MON-FRI"), ("1-7/2", "*"), ("1,15", "?"), ("*", "SUN"), ("1", "SAT")]
    while len(seen) < _DISTINCT:
        minute, hour = rng.randrange(60), rng.randrange(24)
        minutes = rng.choice([str(minute), f"{minute},{(minute + 7) % 60}", f"*/{minute + 1 if minute < 59 else 1}"])
        hours = rng.choice([str(hour), "*", f"{hour // 2}-{hour}", f"*/{hour // 2 + 1}"])
        in_month, in_week = rng.choice(days)
        text = f"{minutes} {hours} {in_month} {rng.choice(['*', '*', '1-6', 'JAN,JUL'])} {in_week}"
        if rng.random() < 0.2:
            text = f"{rng.randrange(60)} {text}"
        if text not in seen:
            seen.add(text)
            yield text


def _review(name: str, spec: dict[str, Any]) -> bytes:
    plural = {"BackupSchedule": "backupschedules", "Repository": "repositories"}[name]
    kind = {"group": "pgwarden.io", "version": "v1alpha1", "kind": name}
    metadata = {"name": f"one-{shapes.MARK}", "namespace": shapes.NAMESPACE, "uid": "0b2d5e0a", "generation": 1}
    obj = {"apiVersion": "pgwarden.io/v1alpha1", "kind": name, "metadata": metadata, "spec": spec}
    return shapes.review(obj, kind=kind, resource=plural)
