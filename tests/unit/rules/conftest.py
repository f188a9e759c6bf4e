from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.rules import Verdict, validate
from tests.unit.contract import produced
from tests.unit.contract.produced import Set

Object = dict[str, Any]
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ARCHIVED = datetime(2026, 11, 20, tzinfo=UTC)


class Cluster:
    """The objects that are there, as the rules' Lookup sees them."""

    def __init__(self, *present: Object) -> None:
        self.present = list(present)

    def _of(self, kind: str) -> list[Object]:
        return [one for one in self.present if one["kind"] == kind]

    def _mine(self, kind: str, namespace: str, repository: str) -> list[Object]:
        return [
            one
            for one in self._of(kind)
            if one["metadata"]["namespace"] == namespace and one["spec"].get("repository") == repository
        ]

    def repository(self, namespace: str, name: str) -> Object | None:
        wanted = (namespace, name)
        return next(
            (o for o in self._of("Repository") if (o["metadata"]["namespace"], o["metadata"]["name"]) == wanted), None
        )

    def repositories(self) -> list[Object]:
        return self._of("Repository")

    def backups(self, namespace: str, repository: str) -> list[Object]:
        return self._mine("Backup", namespace, repository)

    def schedules(self, namespace: str, repository: str) -> list[Object]:
        return self._mine("BackupSchedule", namespace, repository)

    def restores(self, namespace: str, repository: str) -> list[Object]:
        return self._mine("Restore", namespace, repository)


def build(kind: str, name: str = "one", namespace: str = "ns", status: Object | None = None, **spec: Any) -> Object:
    obj: Object = {
        "apiVersion": "pgwarden.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": copy.deepcopy(spec),
    }
    return obj | ({"status": copy.deepcopy(status)} if status is not None else {})


def sets(timelines: tuple[int, int] = (1, 1), took: timedelta = timedelta(minutes=10)) -> list[Set]:
    """A full backup of 1 November, which *took* so long, and an incremental one of the 10th."""
    full = Set(kind="full", stop=datetime(2026, 11, 1, tzinfo=UTC) + took, took=took, number=3, timeline=timelines[0])
    stop, on = datetime(2026, 11, 10, 0, 10, tzinfo=UTC), {"full": full.label, "prior": full.label}
    return [full, Set(kind="incr", stop=stop, number=9, timeline=timelines[1], **on)]


#: A Repository with these, whose window is 1 to 20 November and which is archiving.
STATUS: Object = produced.repository(sets(), archived=ARCHIVED)["status"]
S3: Object = {
    "bucket": "backups",
    "endpoint": "minio.storage.svc:9000",
    "region": "us-east-1",
    "credentialsSecretRef": {"name": "s3"},
}


@pytest.fixture
def make() -> Callable[..., Object]:
    return build


@pytest.fixture
def hippo() -> Object:
    return build("Repository", "hippo", status=STATUS, storageType="local", retention={"full": 7})


@pytest.fixture
def s3() -> Object:
    return copy.deepcopy(S3)


@pytest.fixture
def cluster(hippo: Object) -> Cluster:
    return Cluster(hippo)


@pytest.fixture
def judge(cluster: Cluster) -> Callable[..., Verdict]:
    def judged(obj: Any, old: Any = None, **defaults: str) -> Verdict:
        return validate(obj, old=old, lookup=cluster, now=NOW, defaults=OperatorDefaults(**defaults))

    return judged


def said(verdict: Verdict) -> str:
    return "\n".join(str(fault) for fault in verdict.faults)


@pytest.fixture
def refusal(judge: Callable[..., Verdict]) -> Callable[..., str]:
    """All faults as text, one in a line."""
    return lambda *args, **kwargs: said(judge(*args, **kwargs))
