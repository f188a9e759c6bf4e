"""What the rules of all kinds share. Their input and their verdict, which storages use too, are below: api/judging."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from pgwarden import storages
from pgwarden.api.faults import Elsewhere, Waits
from pgwarden.api.judging import Case
from pgwarden.api.near import near
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.pgbackrest import option_needs, standby
from pgwarden.pgbackrest.option_table import Command
from pgwarden.pgbackrest.user_options import ParsedOptions, parse_options
from pgwarden.rules import checks
from pgwarden.storages import names_of as storages_of


def repository_of(case: Case) -> Object | None:
    """The Repository that the object names; its absence is a fault that says what there is instead."""
    name = case.get(str, "repository")
    if not name:
        return None
    found = case.lookup.repository(case.namespace, name)
    if found is None:
        message, elsewhere = _absent(case, name)
        case.refuse("spec.repository", name, message, "repository", Waits.NO_REPOSITORY, elsewhere=elsewhere)
    return found


def _absent(case: Case, name: str) -> tuple[str, Elsewhere | None]:
    everywhere = [
        (get(entry, str, "metadata", "namespace") or "", get(entry, str, "metadata", "name") or "")
        for entry in case.lookup.repositories()
    ]
    here = sorted(other for namespace, other in everywhere if namespace == case.namespace)
    text = f"there is no Repository {name[:63]} in namespace {case.namespace}"
    meant = near(name, here, 3)
    elsewhere = sorted(namespace for namespace, other in everywhere if other == name)
    if meant:
        return f"{text}; did you mean {' or '.join(meant)}?", None
    told = f"{text}; available: {', '.join(here[:10])}" if here else f"{text}; create it first"
    return told, _in_other_namespaces(name, text, elsewhere[:3]) if elsewhere else None


def _in_other_namespaces(name: str, text: str, namespaces: Sequence[str]) -> Elsewhere:
    message = f"{text}, but there is one in ", "; a Repository serves its own namespace only"
    return Elsewhere(tuple((namespace, name) for namespace in namespaces), message)


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


def check_options(case: Case, command: Command, repository: Object | None, named: Sequence[str] = ()) -> ParsedOptions:
    """*repository* is the one that they are for, None where it cannot be told; *named* are its storages, where they are
    not as its spec says.
    """
    there = named or (storages_of(repository) if repository is not None else storages.NAMES)
    options = case.obj["spec"].get("options") if isinstance(case.obj.get("spec"), dict) else None
    parsed, faults = parse_options(options, command=command, storages=there)
    if faults and command != "repository":  # whose storages are its own
        anywhere = {
            (fault.field, fault.value) for fault in parse_options(options, command=command, storages=storages.NAMES)[1]
        }
        faults = [
            fault if (fault.field, fault.value) in anywhere else replace(fault, waits=Waits.STORAGE_MISSING)
            for fault in faults
        ]
    case.faults += faults
    checks.check_processes(case, command, parsed.settings.get(checks.PROCESSES, ""))
    if parsed.arguments and (repository is not None or command != "repository"):
        _check_needs(case, command, parsed, repository, there)
    if standby.is_required(parsed.settings):
        case.note(standby.NOTE)
    return parsed


def _check_needs(
    case: Case, command: Command, parsed: ParsedOptions, repository: Object | None, named: Sequence[str]
) -> None:
    """What is wrong beside the Repository's own options alone may be mended there."""
    below = option_needs.ours(storages.lines_of(repository, named))
    if command == "restore":
        target = case.get(dict, "target") or {}
        below["type"] = next((kind for kind, value in target.items() if value), "default")
    own = ParsedOptions()
    if command != "repository" and repository is not None:
        own, _ = parse_options(get(repository, list, "spec", "options"), command="repository", storages=named)
    anyway = set(option_needs.problems(parsed.settings, below))
    for argument, problem in option_needs.problems(parsed.settings, below | own.settings):
        waits = None if (argument, problem) in anyway else Waits.OPTIONS_CONTRADICT
        case.refuse("spec.options", argument, problem, "options", waits)


def has_full_retention(repository: Object, options: ParsedOptions | None = None) -> bool:
    """Whether anything, on the Repository or among *options*, ever removes a full backup."""
    if get(repository, int, "spec", "retention", "full") is not None:
        return True
    own, _ = parse_options(get(repository, list, "spec", "options"), command="repository", storages=storages.NAMES)
    given = [*own.retention, *(options.retention if options else ())]
    return any(name.endswith("-retention-full") for name in given)
