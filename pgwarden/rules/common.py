"""What the rules of all kinds share. Their input and their verdict, which storages use too, are below: api/judging."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from pgwarden import storages
from pgwarden.api.faults import Waits
from pgwarden.api.judging import Case
from pgwarden.api.near import near
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.pgbackrest.option_table import Command
from pgwarden.pgbackrest.user_options import ParsedOptions, parse_options
from pgwarden.storages import names_of as storages_of


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
    if not wanted or repository is None or wanted not in storages.NAMES:
        return
    there = storages_of(repository)
    if wanted not in there:
        name = get(repository, str, "metadata", "name")
        message = (
            f"Repository {name} has only storage {' and '.join(there)}; omit spec.storage, or add {wanted} to its "
            "storageType"
        )
        case.refuse("spec.storage", wanted, message, "storage", Waits.STORAGE_MISSING)


def check_options(case: Case, command: Command, named: Sequence[str] | None) -> ParsedOptions:
    """*named* are the Repository's storages; None where they cannot be told."""
    options = case.obj["spec"].get("options") if isinstance(case.obj.get("spec"), dict) else None
    parsed, faults = parse_options(options, command=command, storages=storages.NAMES if named is None else named)
    if faults and command != "repository":  # whose storages are its own
        anywhere = {
            (fault.field, fault.value) for fault in parse_options(options, command=command, storages=storages.NAMES)[1]
        }
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
    own, _ = parse_options(get(repository, list, "spec", "options"), command="repository", storages=storages.NAMES)
    given = [*own.retention, *(options.retention if options else ())]
    return any(name.endswith("-retention-full") for name in given)
