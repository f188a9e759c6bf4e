"""What is known of each storage: whether it can be read, and why not in plain words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from controller import credentials
from controller.repository.facts import RepositoryFacts
from controller.runtime import conditions
from pgwarden.api.objects import Object
from pgwarden.api.reading import moment, objects
from pgwarden.pgbackrest import config
from pgwarden.pgbackrest import info as pgbackrest_info
from pgwarden.pgbackrest.trouble import Service, Trouble, by_repo, lacks_archive
from pgwarden.storages import BY_NAME, explain

#: Between two looks at most.
LOOKS = timedelta(seconds=15)


@dataclass(frozen=True)
class StorageView:
    """`trouble` None: it was read. `known` is False while nothing answers that could have read it."""

    name: str
    number: int
    known: bool
    trouble: Trouble | None = None


def look(facts: RepositoryFacts) -> list[StorageView]:
    return [_look(facts, number, name) for number, name in enumerate(facts.spec.storages, 1)]


def unreadable(facts: RepositoryFacts) -> list[StorageView]:
    return [storage for storage in look(facts) if storage.trouble is not None]


def read(facts: RepositoryFacts) -> list[StorageView]:
    """Those whose sets `info` tells of. A host that has not seen a new storageType yet tells of none: the numbers that
    it uses are those of the old one.
    """
    told = {repo.repo for repo in facts.info.repos} if facts.info else set()
    if len(told) != len(facts.spec.storages):
        return []
    return [storage for storage in look(facts) if storage.known and storage.trouble is None and storage.number in told]


def lacks_stanza(facts: RepositoryFacts, number: int) -> bool:
    """Whether `info` says that there is none in storage *number*."""
    missing = {pgbackrest_info.MISSING_PATH, pgbackrest_info.MISSING_DATA}
    return any(repo.repo == number and repo.code in missing for repo in facts.info.repos) if facts.info else False


def ready(facts: RepositoryFacts, storage: StorageView) -> bool:
    """Whether an operation on *storage* alone can start, whatever the state of the other one."""
    if not storage.known or storage.trouble is not None or facts.info is None:
        return False
    if facts.secret_error and credentials.concerns(facts.secret_error) in {"", storage.name}:
        return False
    others = bool(unreadable(facts))
    if others and facts.primary is not None and not (facts.primary.answer and facts.primary.answer.relays):
        return False  # archive-push would stop for the other one, and a backup would wait for its WAL in vain
    there = any(repo.repo == storage.number for repo in facts.info.repos)
    return there and not lacks_stanza(facts, storage.number)


def service(facts: RepositoryFacts, number: int, *, of_pods: bool = False) -> Service | None:
    """What sentences about storage *number* name; None where it has no service, or is not known."""
    return facts.places[number - 1].service(of_pods=of_pods) if 1 <= number <= len(facts.places) else None


def why(facts: RepositoryFacts, text: str, *, of_pods: bool = False) -> str:
    """pgBackRest's *text*, which may speak of several storages, in plain words. *of_pods*: beside PostgreSQL."""
    return "; ".join(_told(facts, number, said, of_pods=of_pods) for number, said in by_repo(text))


def status(facts: RepositoryFacts, *, foreign: bool = False) -> list[Object]:
    """`status.storages`: where each is, with all defaults filled in, and whether it answers. *foreign*: of another
    cluster, so that none is ready for this one.
    """
    return [_entry(facts, storage) | {"ready": not foreign and ready(facts, storage)} for storage in look(facts)]


def _look(facts: RepositoryFacts, number: int, name: str) -> StorageView:
    if facts.away is not None and BY_NAME[name].on_volume:
        return StorageView(name, number, known=True, trouble=facts.away)
    if not facts.host_ready or facts.info_error:
        return StorageView(name, number, known=False)
    for repo in facts.info.repos if facts.info else ():
        if repo.repo == number and repo.code == pgbackrest_info.OTHER:
            trouble = lacks_archive(repo.message) or explain(repo.message, service(facts, number))
            return StorageView(name, number, known=True, trouble=trouble)
    return StorageView(name, number, known=facts.info is not None)


def _told(facts: RepositoryFacts, number: int, text: str, *, of_pods: bool) -> str:
    storages = facts.spec.storages
    if number == 0 and len(storages) == 1:
        number = 1
    if not 1 <= number <= len(storages):
        return explain(text).sentence
    name = storages[number - 1]
    return f"storage {name}: {explain(text, service(facts, number, of_pods=of_pods)).sentence}"


def _entry(facts: RepositoryFacts, storage: StorageView) -> Object:
    place = facts.places[storage.number - 1]
    entry: Object = {
        "name": storage.name,
        "repo": storage.number,
        "type": BY_NAME[storage.name].repo_type,
        "location": place.location,
        **place.shown(),
    }
    if storage.known:
        entry |= {"reachable": storage.trouble is None, "message": storage.trouble.sentence if storage.trouble else ""}
    kept = config.retention(facts.spec, storage.number)
    entry |= _immutable(facts, storage.number, kept)
    if kept:
        entry["retention"] = {_camel(key): int(value) if value.isdigit() else value for key, value in kept.items()}
    current = facts.info.current(storage.number) if facts.info else None
    if current is not None:
        entry["systemIdentifier"] = current.system_id
    archive = facts.info.archive(storage.number) if facts.info else None
    if archive is None or not archive.max:
        return entry
    seen = last_wal_time(facts, storage.number)
    return entry | {"lastWal": archive.max} | ({"lastWalTime": seen} if seen else {})


def _immutable(facts: RepositoryFacts, number: int, kept: Mapping[str, str]) -> Object:
    """What its bucket keeps, as it was told last where nobody tells now. *kept* is the storage's retention."""
    answer = facts.host_answer
    told = next((one for one in (answer and answer.immutable) or () if one.repo == number), None)
    if told is None:
        name = facts.spec.storages[number - 1]
        known = next((one for one in objects(facts.repository, "status", "storages") if one.get("name") == name), {})
        return {"immutable": known["immutable"]} if isinstance(known.get("immutable"), dict) else {}
    found: Object = {"versioning": told.versioning}
    if told.lock_mode and told.lock_days is not None:
        found |= {"objectLock": {"mode": told.lock_mode, "days": told.lock_days}}
        found |= _short(told.lock_days, kept)
    return {"immutable": found | ({"reason": told.reason} if told.reason else {})}


def _short(locked: int, kept: Mapping[str, str]) -> Object:
    """Where backups are kept for longer than they are locked, as far as both are known in days."""
    days = kept.get("full", "") if kept.get("full-type") == "time" else ""
    if not days.isdigit() or int(days) <= locked:
        return {}
    text = (
        f"backups are kept for {days} days, and the bucket locks each object for {locked}: after that, who may delete "
        f"versions can delete it for good. Set the bucket's default retention to {days} days or more"
    )
    return {"warning": text}


def last_wal_time(facts: RepositoryFacts, number: int) -> str:
    """When the newest segment in storage *number* came, at the earliest: before the look that saw it first. Empty where
    that is not known: the first one that was ever seen may be old.
    """
    archive, name = facts.info.archive(number) if facts.info else None, facts.spec.storages[number - 1]
    known = next((one for one in objects(facts.repository, "status", "storages") if one.get("name") == name), {})
    before = known.get("lastWal")
    if archive is None or not archive.max or not isinstance(before, str):
        return ""
    if archive.max > before:
        return conditions.timestamp(facts.now - LOOKS)
    return str(known["lastWalTime"]) if moment(known.get("lastWalTime")) else ""


def _camel(key: str) -> str:
    """full-type → fullType."""
    first, *others = key.split("-")
    return first + "".join(map(str.capitalize, others))
