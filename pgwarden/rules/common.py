"""What the rules of all kinds share: their input, their verdict, and reading objects whose shape nobody has checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.faults import Fault, Waits
from pgwarden.api.near import near
from pgwarden.api.target import TargetError, parse_time
from pgwarden.pgbackrest.option_table import Command
from pgwarden.pgbackrest.user_options import ParsedOptions, parse_options

T = TypeVar("T")
Object = dict[str, Any]
STORAGES = ("local", "s3")


class Lookup(Protocol):
    """What else is in the cluster. Answers come from a cache: they may be a moment old."""

    def repository(self, namespace: str, name: str) -> Object | None: ...
    def backups(self, namespace: str, repository: str) -> list[Object]: ...
    def schedules(self, namespace: str, repository: str) -> list[Object]: ...
    def restores(self, namespace: str, repository: str) -> list[Object]: ...
    def repositories(self) -> Iterable[Object]: ...


class Verdict(msgspec.Struct, frozen=True):
    """Admitted where there are no faults. Warnings are printed by kubectl either way."""

    faults: list[Fault] = []
    warnings: list[str] = []

    @property
    def ok(self) -> bool:
        return not self.faults


class Case(msgspec.Struct):
    """One object under judgement, and what is found out about it."""

    obj: Object
    old: Object | None
    lookup: Lookup
    now: datetime
    defaults: OperatorDefaults
    standing: bool = False  # the object is in the API server: its status is ours
    faults: list[Fault] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)

    @property
    def namespace(self) -> str:
        return get(self.obj, str, "metadata", "namespace") or "default"

    @property
    def name(self) -> str:
        return get(self.obj, str, "metadata", "name") or ""

    def get(self, kind: type[T], *path: str) -> T | None:
        return get(self.obj, kind, "spec", *path)

    def refuse(self, field: str, value: Any, message: str, rule: str, waits: Waits | None = None) -> None:
        """*waits* wherever anything but the object itself was looked at to find the fault (see Fault)."""
        self.faults.append(Fault(field, value, message, rule, waits))

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


def get(obj: Any, kind: type[T], *path: str) -> T | None:
    """The value at *path* where it is of *kind*; None where anything on the way is missing or something else."""
    for part in path:
        if not isinstance(obj, dict):
            return None
        obj = obj.get(part)
    if type(obj) is kind:
        return obj
    # bool is an int to Python, never to a user.
    if isinstance(obj, kind) and not (isinstance(obj, bool) and kind is not bool):
        return obj
    return None


def objects(obj: Any, *path: str) -> list[Object]:
    """The objects in the list at *path*."""
    return [entry for entry in get(obj, list, *path) or [] if isinstance(entry, dict)]


def moment(text: Any) -> datetime | None:
    """A time in a status; None where it is none."""
    try:
        return parse_time(text) if isinstance(text, str) else None
    except TargetError:
        return None


def condition(obj: Any, kind: str) -> str:
    """The status of a condition: True, False, Unknown, or empty where there is none."""
    found = (entry for entry in objects(obj, "status", "conditions") if entry.get("type") == kind)
    return str(next(found, {}).get("status", ""))


def storages_of(repository: Any) -> tuple[str, ...]:
    text = get(repository, str, "spec", "storageType") or "local"
    return tuple(part for part in text.split(",") if part in STORAGES)


def repository_of(case: Case) -> Object | None:
    """The Repository that the object names; its absence is a fault that says what there is instead."""
    name = case.get(str, "repository")
    if not name:
        return None
    found = case.lookup.repository(case.namespace, name)
    if found is None:
        case.refuse("spec.repository", name, _absent(case, name), "repository", Waits.NO_REPOSITORY)
    return found


def _absent(case: Case, name: str) -> str:
    everywhere = [
        (get(entry, str, "metadata", "namespace") or "", get(entry, str, "metadata", "name") or "")
        for entry in case.lookup.repositories()
    ]
    here = sorted(other for namespace, other in everywhere if namespace == case.namespace)
    text = f"there is no Repository {name[:63]} in namespace {case.namespace}"
    meant = near(name, here, 3)
    elsewhere = sorted(namespace for namespace, other in everywhere if other == name)
    if meant:
        return f"{text}; did you mean {' or '.join(meant)}?"
    if elsewhere:
        return f"{text}, but there is one in {', '.join(elsewhere[:3])}; a Repository serves its own namespace only"
    if here:
        return f"{text}; available: {', '.join(here[:10])}"
    return f"{text}; create it first"


def check_storage(case: Case, repository: Object | None) -> None:
    wanted = case.get(str, "storage")
    if not wanted or repository is None or wanted not in STORAGES:
        return
    there = storages_of(repository)
    if wanted not in there:
        name = get(repository, str, "metadata", "name")
        message = (
            f"Repository {name} has only storage {' and '.join(there)}; omit spec.storage, or add {wanted} to its "
            "storageType"
        )
        case.refuse("spec.storage", wanted, message, "storage", Waits.STORAGE_MISSING)


def check_options(case: Case, command: Command, storages: Sequence[str] | None) -> ParsedOptions:
    options = case.obj["spec"].get("options") if isinstance(case.obj.get("spec"), dict) else None
    parsed, faults = parse_options(options, command=command, storages=storages)
    if faults and command != "repository":  # whose storages are its own
        anywhere = {(fault.field, fault.value) for fault in parse_options(options, command=command)[1]}
        faults = [
            fault if (fault.field, fault.value) in anywhere else replace(fault, waits=Waits.STORAGE_MISSING)
            for fault in faults
        ]
    case.faults += faults
    return parsed


def has_full_retention(repository: Object, options: ParsedOptions | None = None) -> bool:
    """Whether anything, on the Repository or among *options*, ever removes a full backup."""
    if get(repository, int, "spec", "retention", "full") is not None:
        return True
    own, _ = parse_options(get(repository, list, "spec", "options"), command="repository")
    given = [*own.retention, *(options.retention if options else ())]
    return any(name.endswith("-retention-full") for name in given)
