"""What must be true of a Repository."""

from __future__ import annotations

import re

from pgwarden.api.quantity import parse_quantity
from pgwarden.pgbackrest.user_options import ParsedOptions
from pgwarden.rules import backup_sets, repository_s3
from pgwarden.rules.common import STORAGES, Case, check_options, get, has_full_retention, storages_of

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def check(case: Case) -> None:
    _check_name(case)
    storages = _check_storage_type(case)
    _check_local(case, storages)
    repository_s3.check(case, storages)
    options = check_options(case, "repository", storages)
    _check_retention(case, options)
    if case.old is not None:
        _check_change(case, case.old, storages)
    elif case.standing:
        _check_kept(case, case.obj, storages)
    if "archive-push-queue-max" in options.settings:
        case.warn(
            "archive-push-queue-max lets pgBackRest drop WAL when the queue is full; point-in-time recovery is then "
            "possible only from the next backup on"
        )


def _check_name(case: Case) -> None:
    if not case.name:  # generateName: the schema's rule sees the result
        return
    if len(case.name) > 52:
        message = f"must have at most 52 characters, not {len(case.name)}: Services are named after it"
        case.refuse("metadata.name", case.name[:80], message, "name")
    elif not _NAME.fullmatch(case.name):
        message = "must be lower-case letters, digits and dashes, beginning with a letter: Services are named after it"
        case.refuse("metadata.name", case.name, message, "name")


def _check_storage_type(case: Case) -> tuple[str, ...] | None:
    """The storages; None if they cannot be determined."""
    value = case.get(str, "storageType")
    if value is None:
        return None if "storageType" in (case.get(dict) or {}) else ("local",)
    parts = value.split(",")
    problem = _storage_type_problem(value, parts)
    if problem:
        case.refuse("spec.storageType", value[:100], problem, "storageType")
        # The storages that were meant, if that is clear, so that other faults are reported too.
        meant = {part.strip().lower() for part in parts}
        return tuple(sorted(meant)) if meant and meant <= set(STORAGES) else None
    return tuple(parts)


def _storage_type_problem(value: str, parts: list[str]) -> str:
    known = "write local, s3, or local,s3 for both"
    bare = [part.strip().lower() for part in parts]
    unknown = [part for part in bare if part not in STORAGES]
    if not value.strip():
        return f"is empty; {known}"
    if any(unknown):
        named = next(part for part in unknown if part)
        instead = " (pgwarden calls it local)" if named == "posix" else ""
        return f"{named[:50]} is not a storage{instead}; {known}"
    if unknown:
        return f"has a stray comma; {known}"
    if len(set(bare)) < len(bare):
        return f"lists {bare[0] if bare.count(bare[0]) > 1 else 's3'} twice; {known}"
    if bare == ["s3", "local"]:
        return "lists local second; write local,s3"
    if bare != parts:
        return f"must be lower case without spaces; write {','.join(bare)}"
    return ""


def _check_local(case: Case, storages: tuple[str, ...] | None) -> None:
    if storages and "local" not in storages and case.get(dict, "local") is not None:
        case.warn("spec.local has no effect with storageType s3")
    size = case.get(str, "local", "size")
    if size is None:
        return
    amount = parse_quantity(size)
    if amount is None:
        case.refuse("spec.local.size", size[:50], "must be a quantity such as 10Gi or 500Mi", "size")
    elif amount <= 0:
        case.refuse("spec.local.size", size[:50], "must be greater than zero", "size")
    elif amount < 1024 * 1024:
        case.refuse("spec.local.size", size[:50], f"is less than 1Mi; did you mean {size.rstrip('mkKi')}Gi?", "size")


def _check_retention(case: Case, options: ParsedOptions) -> None:
    full = case.get(int, "retention", "full")
    if case.get(str, "retention", "fullType") == "time" and full is None:
        case.refuse("spec.retention.full", None, "is required with fullType time; set the number of days", "retention")
    for kind in ("full", "diff"):
        twice = [name for name in options.retention if name.endswith(f"-retention-{kind}")]
        if twice and case.get(int, "retention", kind) is not None:
            message = f"is also set in options as --{twice[0]}; remove one of the two"
            case.refuse(f"spec.retention.{kind}", case.get(int, "retention", kind), message, "retention")
    if not has_full_retention(case.obj):
        case.warn("no retention is set: backups are kept forever; set spec.retention.full")


def _check_change(case: Case, old: dict[str, object], storages: tuple[str, ...] | None) -> None:
    if get(old, dict, "spec", "encryption") != case.get(dict, "encryption"):
        message = "cannot be changed: pgBackRest cannot re-encrypt existing backups; create a new Repository"
        case.refuse("spec.encryption", None, message, "immutable")
    before = storages_of(old)
    if storages and "local" in before and "local" in storages:
        old_class = get(old, str, "spec", "local", "storageClassName")
        if old_class != case.get(str, "local", "storageClassName"):
            message = (
                f"cannot be changed from {old_class or 'the default'}: a volume cannot move to another storage class; "
                "create a new Repository"
            )
            new_class = case.get(str, "local", "storageClassName")
            case.refuse("spec.local.storageClassName", new_class, message, "immutable")
        _check_shrink(case, old)
    _check_kept(case, old, storages)


def _check_kept(case: Case, known: dict[str, object], storages: tuple[str, ...] | None) -> None:
    """Refuses to drop a storage that holds backups, by the status of *known*."""
    for gone in [storage for storage in STORAGES if storages and storage not in storages]:
        count = backup_sets.of(known).of_storage(gone).least
        if count:
            holds = f"{count} backups" if count > 1 else "a backup"
            message = f"cannot remove storage {gone}: it still holds {holds}; storages can only be added"
            case.refuse("spec.storageType", case.get(str, "storageType"), message, "narrowing")


def _check_shrink(case: Case, old: dict[str, object]) -> None:
    before, after = get(old, str, "spec", "local", "size") or "10Gi", case.get(str, "local", "size") or "10Gi"
    was, becomes = parse_quantity(before), parse_quantity(after)
    if was is not None and becomes is not None and becomes < was:
        case.refuse("spec.local.size", after, f"cannot shrink from {before}: a volume can only grow", "size")
