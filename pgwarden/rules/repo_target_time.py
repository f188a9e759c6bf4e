"""spec.repoTargetTime of a Restore, and of a clone's source: the storage is read as it was at that time."""

from __future__ import annotations

from pgwarden import storages
from pgwarden.api.faults import Waits
from pgwarden.api.judging import Case
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.api.target import TargetError, parse_time, rfc3339
from pgwarden.storages import names_of as storages_of

FIELD = "spec.repoTargetTime"


def is_asked(case: Case) -> bool:
    return bool(case.get(str, "repoTargetTime"))


def check(case: Case, repository: Object | None) -> None:
    text = case.get(str, "repoTargetTime")
    if not text:
        return
    _check_storage(case, text, repository)
    try:
        wanted = parse_time(text)
    except TargetError as error:
        case.refuse(FIELD, text[:80], str(error), "repoTargetTime")
        return
    if wanted > case.now:
        today = rfc3339(case.now.replace(microsecond=0))
        message = f"is in the future (now: {today}); name a time before the storage was damaged, or omit it"
        case.refuse(FIELD, text, message, "repoTargetTime", Waits.OUTSIDE_WINDOW)
    _check_target(case, text)


def check_place(case: Case) -> None:
    """Of a Restore: in place, PostgreSQL would be stopped for what its storage of today cannot bring back again."""
    text = case.get(str, "repoTargetTime")
    if text and not case.get(str, "volumeClaim"):
        message = (
            "needs spec.volumeClaim, the name of a new claim to restore into: the storage of today has no way back. "
            "A PostgresCluster can begin with it as well (spec.dataSource.repoTargetTime)"
        )
        case.refuse(FIELD, text[:80], message, "repoTargetTime")


def _check_storage(case: Case, text: str, repository: Object | None) -> None:
    able = [one.name for one in storages.REGISTER if one.has_versions]
    named, wanted = case.get(str, "storage"), " or ".join(able)
    if named and named not in able:
        message = f"is for storage {wanted}, whose bucket can keep versions; set spec.storage to {wanted}, or omit it"
        case.refuse(FIELD, text[:80], message, "repoTargetTime")
    elif repository is not None and not set(able) & set(storages_of(repository)):
        name = get(repository, str, "metadata", "name")
        message = (
            f"is for storage {wanted}, whose bucket can keep versions, and Repository {name} has only storage "
            f"{' and '.join(storages_of(repository))}; omit it"
        )
        case.refuse(FIELD, text[:80], message, "repoTargetTime", Waits.STORAGE_MISSING)


def _check_target(case: Case, text: str) -> None:
    target = case.get(str, "target", "time")
    try:
        late = target is not None and parse_time(target) > parse_time(text)
    except TargetError:
        return  # its own rule says so
    if late:
        message = f"is after {FIELD} ({text}), and nothing later is read; choose an earlier target or a later {FIELD}"
        case.refuse("spec.target.time", target, message, "window")
