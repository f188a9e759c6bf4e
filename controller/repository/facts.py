"""What is known of a Repository at one moment. Plain values: gathered by reconcile, judged by decide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from controller.claim_growth import Growth
from controller.failed_create import Refused
from controller.pods import Held
from controller.repository import tools
from controller.repository.tools import Tools, View
from pgwarden.api import names
from pgwarden.api.kinds import PodFacts, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.contract.archive import Archive
from pgwarden.contract.calls import NewestWal
from pgwarden.contract.status import Archiver, Postgres, Status, Volume
from pgwarden.kube.cache import Key
from pgwarden.pgbackrest.info import Info
from pgwarden.pgbackrest.trouble import Trouble
from pgwarden.storages import Place


@dataclass(frozen=True)
class PodView:
    """One labelled pod: what Kubernetes says of it, and what its agent answered (or why it did not)."""

    name: str
    ip: str
    facts: PodFacts | None
    answer: Status | None = None
    error: str = ""
    held: Held | None = None  # what keeps it from running, where Kubernetes says so
    postgres_held: Held | None = None  # the same of PostgreSQL's own container
    uid: str = ""
    image: str = ""  # that it was injected with

    @property
    def postgres(self) -> Postgres:
        return (self.answer and self.answer.postgres) or Postgres()

    @property
    def archiver(self) -> Archiver:
        return (self.answer and self.answer.archiver) or Archiver()

    @property
    def unarchived(self) -> int | None:
        """Segments that wait in pg_wal; None where that is not known."""
        return self.answer.unarchived if self.answer else None

    @property
    def is_primary(self) -> bool:
        return self.postgres.reachable and not self.postgres.in_recovery

    @property
    def role(self) -> str:
        if not self.postgres.reachable:
            return "unknown"
        return "replica" if self.postgres.in_recovery else "primary"

    @property
    def stuck(self) -> Held | None:
        """What is held. Where the agent answers it is PostgreSQL's container, or another, which is none of ours."""
        if self.answer is None:
            return self.held
        return None if self.postgres.reachable else self.postgres_held

    @property
    def problem(self) -> str:
        """Why this pod is not known to be protected; empty where all is well."""
        if self.facts is None:
            return (
                "pgwarden is not injected; put the label pgwarden.io/repository into the workload's pod template, or "
                "delete the pod if the template has it"
            )
        if self.stuck is not None:
            held = self.stuck.message.removeprefix(f"pod {self.name}").lstrip(": ")
            return f"{held}; {self.error}" if self.error else held
        if self.answer is not None and self.answer.postgres is None:
            return "what its agent answers says nothing of PostgreSQL"
        return self.error or self.postgres.error or self.postgres.advice or ""


@dataclass(frozen=True)
class RepositoryFacts:
    repository: Object
    spec: RepositorySpec
    now: datetime
    pods: tuple[PodView, ...] = ()
    host_ready: bool = False
    host_answer: Status | None = None  # what the repository host that is ready has said
    host_message: str = ""  # why the host is not ready
    host_answered: Tools = tools.NOT_TOLD  # its image and pgBackRest
    versions: View = tools.NOT_SEEN  # of pgBackRest, in the host and in the pods
    host_held: str = ""  # one of api.reasons.HELD, where Kubernetes says what keeps it from running
    refused_workloads: tuple[Refused, ...] = ()  # with the label, whose pods Kubernetes does not create
    not_applied: str = ""  # what Kubernetes does not take of what the Repository consists of, in its words
    claim: Object | None = None  # of the local storage
    growth: Growth | None = None  # what it lacks of the size in the spec
    away: Trouble | None = None  # what keeps the repository host from its volume
    spare_wanted: bool = False  # whether a host without the volume is to answer for the other storages
    info: Info | None = None
    info_error: str = ""
    info_age: int = 0  # seconds since it was read
    volume: Volume | None = None  # that of the local storage, as the repository host sees it
    archives: tuple[Archive, ...] = ()  # what the host says of the WAL in each storage
    stanza_error: str = ""
    secret_error: str = ""
    segment_asked: Object | None = None  # as this process knows it: a cache may lag behind the status
    segment_error: str = ""  # what came of the segment that was asked for last
    on_the_way: bool = False  # whether the primary's pod has yet to get what was written for it last
    refused: str = ""  # what a rule has against it since it was taken up
    in_the_way: str = ""  # what has the name of something that is to be made, and is not the Repository's
    takeover: Object | None = None  # the Restore that replaces the server that runs now, once there is one
    newest_wal: NewestWal | None = None  # asked for before that Restore is made
    backups: tuple[Object, ...] = ()  # the Backups of the Repository
    operation: str = ""
    next_scheduled: str = ""
    places: tuple[Place, ...] = ()  # of the storages, with the operator's defaults filled in

    @property
    def key(self) -> Key:
        return self.repository["metadata"]["namespace"], self.repository["metadata"]["name"]

    @property
    def stanza(self) -> str:
        return names.stanza(self.key[1], self.spec.stanza)

    @property
    def primary(self) -> PodView | None:
        return next((pod for pod in self.pods if pod.is_primary), None)
