"""What a storage says for itself. A new one is a module with a `Storage` in it, and a line in the register."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import msgspec

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.judging import Case
from pgwarden.api.kinds import LocalStorage, RepositorySpec, SecretKeyRef
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.pgbackrest.config import StoragePlace
from pgwarden.pgbackrest.trouble import Service
from pgwarden.storages.flags import Flag

#: What a Repository has that says nothing.
DEFAULT = "local"


class Place(StoragePlace, Protocol):
    """A storage of one Repository, with the operator's defaults filled in."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing that the configuration needs."""

    @property
    def location(self) -> str:
        """Where it is, in the words that a person would look for."""

    def in_force(self, lines: Mapping[str, str]) -> Place:
        """With what the configuration in force says (`repoN-` cut off) in place of a default that is gone."""

    def shown(self) -> Mapping[str, str]:
        """Its fields in the Repository's status."""

    def service(self, *, of_pods: bool = False) -> Service | None:
        """For sentences about what went wrong there; None where it has no service of its own. *of_pods*: beside
        PostgreSQL.
        """


class SecretKeys(msgspec.Struct, frozen=True):
    """What a storage wants from a user's Secret."""

    field: str  # of the Repository, that names the Secret
    secret: str
    #: pgBackRest's option without `repoN-` → keys of the Secret that may hold it, the first that is there wins.
    options: Mapping[str, tuple[str, ...]]
    #: The same of what need not be there.
    optional: Mapping[str, tuple[str, ...]] = {}
    #: Of pods' keys: options of the data, not of who reads it. They are the host's.
    of_host: tuple[str, ...] = ()


class Storage(ABC):
    """`spec.<name>` of a Repository is its part of the spec; its type stands in api/kinds.py."""

    name: ClassVar[str]
    #: pgBackRest's repo-type.
    repo_type: ClassVar[str]
    #: What people who know pgBackRest call it.
    also_called: ClassVar[frozenset[str]] = frozenset()
    #: The backups are on a claim of the Repository's, which its host and its Jobs mount.
    on_volume: ClassVar[bool] = False
    #: It can be read as it was at an earlier time, where its bucket keeps versions (pgBackRest's repo-target-time).
    has_versions: ClassVar[bool] = False
    #: Fields that have an operator's default → what is assumed for one where no cluster is asked.
    defaults: ClassVar[Mapping[str, str]] = {}
    #: Fields of `spec.<name>` that name a Secret.
    secret_fields: ClassVar[tuple[str, ...]] = ()
    #: The one of them with what reaches the storage; named after its owner where the command line names none.
    credentials_field: ClassVar[str] = ""
    flags: ClassVar[tuple[Flag, ...]] = ()

    @abstractmethod
    def place(self, spec: RepositorySpec, defaults: OperatorDefaults, namespace: str, name: str) -> Place:
        """Of Repository *name*, whose *spec* uses this storage."""

    @abstractmethod
    def check(self, case: Case, storages: tuple[str, ...] | None, *, holds_backups: bool) -> None:
        """The rules of its part of a Repository's spec. *storages* are the Repository's, None where they cannot be
        told. *holds_backups*: by the status of the object before.
        """

    def check_change(self, case: Case, old: Object) -> None:
        """The rules of an update of a Repository that had this storage and keeps it."""

    def volume(self, spec: RepositorySpec) -> LocalStorage | None:
        """The volume that the backups are on."""

    def keys(self, spec: RepositorySpec) -> SecretKeys | None:
        """What is read from a user's Secret to reach it."""

    def pod_keys(self, spec: RepositorySpec) -> SecretKeys | None:
        """The same for PostgreSQL's pods, where they have keys of their own."""

    def clone_keys(self, spec: RepositorySpec) -> SecretKeys | None:
        """The same for clones."""

    def ca(self, spec: RepositorySpec) -> SecretKeyRef | None:
        """The Secret with the CA that has signed its service's certificate."""

    def lines(self, repository: Any) -> Mapping[str, str]:
        """Of *repository*, of any shape: its lines without `repoN-` that options of a user may depend on."""
        return {"type": self.repo_type}

    def uses_service_account(self, spec: RepositorySpec) -> bool:
        """Whether pods reach it by the identity of their service account."""
        return False

    def role(self, spec: RepositorySpec) -> str:
        """The role that pods of ours take to reach it; empty where they take none, or the cloud sees to it."""
        return ""

    def can_be_cloned_from(self, repository: Object) -> bool:
        """Whether pods of another cluster can read it."""
        return True

    def unused(self, flag: Flag, storage_type: str) -> str:
        """What is said of one of its flags beside a type of storage that leaves it out."""
        both = f"{DEFAULT},{self.name}"
        return f"{flag.text} needs --pgbackrest-storage-type={self.name} or {both}"

    @abstractmethod
    def left_behind(self, name: str, part: Any) -> str:
        """What is there of it after PostgresCluster *name* was deleted. *part* is its part of the Repository's spec."""


def uses(repository: Any, name: str) -> bool:
    """Whether *repository*, of any shape, has storage *name*."""
    return name in (get(repository, str, "spec", "storageType") or DEFAULT).split(",")
