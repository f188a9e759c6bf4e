"""What must be true of a Backup."""

from __future__ import annotations

from pgwarden.api.judging import Case
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.rules import adoption, backup_sets, checks, pod_metadata, resources, retention, timing
from pgwarden.rules.common import check_options, check_storage, repository_of
from pgwarden.storages import names_of as storages_of


def check(case: Case) -> None:
    if case.old is not None:
        if _but_deletion_policy(case.old) != _but_deletion_policy(case.obj):
            message = "a Backup cannot be changed, except for its deletionPolicy; create another Backup"
            case.refuse("spec", None, message, "immutable")
        return
    _check_name(case)
    pod_metadata.check(case)
    timing.check_windows(case, "UTC")
    repository = repository_of(case)
    check_storage(case, repository)
    options = check_options(case, "backup", repository)
    if not case.faults:
        resources.warn_of_memory(case, repository, case.get(list, "options") or ())
    if repository is not None:
        adoption.check_use(case, repository)
        retention.check_backups(case, repository)
        checks.check_backups(case, repository)
    kind = options.type or case.get(str, "type") or "incr"
    if repository is None or kind == "full":
        return
    storage = case.get(str, "storage") or next(iter(storages_of(repository)), None)
    there = backup_sets.of(repository)
    sets = there.of_storage(storage)
    # A Repository with a status, but with no storage read yet, almost certainly has none.
    nothing = get(repository, dict, "status") and not sets.known and not there.some
    if nothing or sets.count("full") == 0:
        name = case.get(str, "repository") or ""
        if _full_is_coming(case, name):
            return
        where = f" in storage {storage}" if len(storages_of(repository)) > 1 else ""
        case.warn(f"Repository {name} has no full backup{where} yet: pgBackRest takes a full backup instead of {kind}")


def _but_deletion_policy(backup: Object) -> Object:
    return {key: value for key, value in (get(backup, dict, "spec") or {}).items() if key != "deletionPolicy"}


def _check_name(case: Case) -> None:
    if len(case.name) > 63:
        case.refuse("metadata.name", case.name[:80], "must have at most 63 characters: it becomes a label", "name")


def _full_is_coming(case: Case, repository: str) -> bool:
    """Whether a full backup runs, or waits: this one comes after it."""
    there = case.lookup.backups(case.namespace, repository)
    return any(
        get(one, str, "spec", "type") == "full" and get(one, str, "status", "phase") in {None, "Pending", "Running"}
        for one in there
        if get(one, str, "metadata", "name") != case.name
    )
