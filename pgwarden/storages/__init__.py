"""The register of the storages, in the order in which a storageType names them, and what is asked of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import Any

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.kinds import LocalStorage, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.pgbackrest import trouble
from pgwarden.storages.flags import Flag
from pgwarden.storages.local import Local
from pgwarden.storages.s3 import S3, S3Service
from pgwarden.storages.storage import DEFAULT, Place, SecretKeys, Storage

__all__ = ["BY_NAME", "DEFAULT", "NAMES", "REGISTER", "TYPES", "Flag", "Place", "SecretKeys", "Storage"]

REGISTER: tuple[Storage, ...] = (
    Local(),
    S3,
)
BY_NAME: Mapping[str, Storage] = MappingProxyType({storage.name: storage for storage in REGISTER})
NAMES: tuple[str, ...] = tuple(BY_NAME)
#: Every storageType that a Repository may have.
TYPES: tuple[str, ...] = tuple(
    ",".join(some) for count in range(1, len(NAMES) + 1) for some in combinations(NAMES, count)
)
#: The service that is meant where it is not known which storage a text is about.
_SOME_SERVICE: trouble.Service = S3Service()
_ARCHIVED_TO: trouble.Service = S3Service(deletes=False)


def of(spec: RepositorySpec) -> list[Storage]:
    """Those that *spec*, which nobody may have checked, uses."""
    return [BY_NAME[name] for name in spec.storages if name in BY_NAME]


def names_of(repository: Any) -> tuple[str, ...]:
    """The storages of a Repository of any shape; what is none is left out."""
    text = get(repository, str, "spec", "storageType") or DEFAULT
    return tuple(part for part in text.split(",") if part in BY_NAME)


def lines_of(repository: Any, named: Sequence[str]) -> dict[int, Mapping[str, str]]:
    """What options of a user may depend on of the storages *named*, by pgBackRest's number."""
    return {number: BY_NAME[name].lines(repository) for number, name in enumerate(named, 1)}


def places(spec: RepositorySpec, defaults: OperatorDefaults, namespace: str, name: str) -> tuple[Place, ...]:
    """Of Repository *name*, in the order of its storages."""
    return tuple(
        storage.place(spec, defaults, namespace, name) for storage in (BY_NAME[named] for named in spec.storages)
    )


def volume(spec: RepositorySpec, storage: str = "") -> LocalStorage | None:
    """The volume that host and Jobs mount; None where no storage is on one. With *storage*: for what uses only that."""
    wanted = [one for one in of(spec) if one.on_volume and storage in {"", one.name}]
    return next((found for one in wanted if (found := one.volume(spec))), None)


def read_from(storage: str, as_of: str) -> str:
    """The storage to read: *storage* or, where it is to be read as of a time and none is named, the one that can be."""
    return storage or (next(one.name for one in REGISTER if one.has_versions) if as_of else "")


def on_volume(spec: RepositorySpec) -> str:
    """The storage that is on a volume; empty where none is."""
    return next((one.name for one in of(spec) if one.on_volume), "")


def another_folder(spec: RepositorySpec, field: str = "spec") -> str:
    """The way out of a folder that is taken, as the end of a sentence; empty where no storage has one."""
    paths = [f"{field}.{one.name}.path" for one in of(spec) if not one.on_volume]
    return f" or another {' and '.join(paths)}" if paths else ""


def uses_service_account(spec: RepositorySpec) -> bool:
    return any(storage.uses_service_account(spec) for storage in of(spec))


def role(spec: RepositorySpec) -> str:
    """The role that pods of ours take; empty where they take none, or the cloud's webhook sees to it."""
    return next((found for one in of(spec) if (found := one.role(spec))), "")


def secrets(repository: Object) -> Iterator[str]:
    """Names of the users' Secrets that the storages of *repository* are reached with. Of any shape: TypeError and
    AttributeError are the caller's.
    """
    spec: dict[str, Any] = repository.get("spec") or {}
    for storage in REGISTER:
        part = spec.get(storage.name) or {}
        for field in storage.secret_fields:
            reference = part.get(field)
            if reference and isinstance(reference.get("name"), str):
                yield reference["name"]


def default_fields() -> list[str]:
    """What may have an operator's default: `s3_bucket` for `s3.bucket`."""
    return [f"{storage.name}_{field}" for storage in REGISTER for field in storage.defaults]


def defaults_from(environment: Mapping[str, str]) -> OperatorDefaults:
    """As the chart sets them: PGWARDEN_S3_BUCKET is that of `s3` and `bucket`."""
    fields = [(storage.name, field) for storage in REGISTER for field in storage.defaults]
    return OperatorDefaults(
        **{f"{of}_{field}": environment.get(f"PGWARDEN_{of}_{field}".upper(), "") for of, field in fields}
    )


def assumed_defaults() -> OperatorDefaults:
    """Of an operator that has all of them: whether it does, only the cluster knows."""
    return OperatorDefaults(
        **{f"{one.name}_{field}": value for one in REGISTER for field, value in one.defaults.items()}
    )


def explain(text: str, service: trouble.Service | None = None) -> trouble.Trouble:
    """What pgBackRest's *text* means. *service* is that of the storage that it speaks of, where it has one."""
    return trouble.explain(text, service or _SOME_SERVICE)


def explain_archiving(text: str) -> trouble.Trouble:
    """The same of archive-push and archive-get."""
    return explain(text, _ARCHIVED_TO)
