"""What is known of a Repository at one moment. Plain values: gathered by reconcile, judged by decide."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pgwarden.api.kinds import PodFacts, RepositorySpec, S3Storage
from pgwarden.kube.client import Object
from pgwarden.pgbackrest.info import Info


@dataclass(frozen=True)
class PodView:
    """One labelled pod: what Kubernetes says of it, and what its agent answered (or why it did not)."""

    name: str
    ip: str
    facts: PodFacts | None
    answer: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def postgres(self) -> dict[str, Any]:
        return self.answer.get("postgres") or {}

    @property
    def archiver(self) -> dict[str, Any]:
        return self.answer.get("archiver") or {}

    @property
    def is_primary(self) -> bool:
        return bool(self.postgres.get("reachable")) and not self.postgres.get("inRecovery")

    @property
    def role(self) -> str:
        if not self.postgres.get("reachable"):
            return "unknown"
        return "replica" if self.postgres.get("inRecovery") else "primary"

    @property
    def problem(self) -> str:
        """Why this pod is not known to be protected; empty where all is well."""
        if self.facts is None:
            return (
                "pgwarden is not injected; put the label pgwarden.io/repository into the workload's pod template, or "
                "delete the pod if the template has it"
            )
        return self.error or str(self.postgres.get("error") or "")


@dataclass(frozen=True)
class Facts:
    repository: Object
    spec: RepositorySpec
    now: datetime
    pods: tuple[PodView, ...] = ()
    host_ready: bool = False
    host_message: str = ""  # why the host is not ready
    info: Info | None = None
    info_error: str = ""
    stanza_error: str = ""
    secret_error: str = ""
    segment_asked: Object | None = None  # as this process knows it: a cache may lag behind the status
    segment_error: str = ""  # what came of the segment that was asked for last
    on_the_way: bool = False  # whether the primary's pod has yet to get what was written for it last
    refused: str = ""  # what a rule has against it since it was taken up
    in_the_way: str = ""  # what has the name of something that is to be made, and is not the Repository's
    operation: str = ""
    next_scheduled: str = ""
    s3: S3Storage | None = None  # with the operator's defaults filled in
    location: dict[str, str] = field(default_factory=dict)  # storage → where it is, for people

    @property
    def primary(self) -> PodView | None:
        return next((pod for pod in self.pods if pod.is_primary), None)
