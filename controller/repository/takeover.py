"""A new PostgreSQL whose Repository holds another one: refused, or replaced by what the Repository holds. Pure.

With `spec.onExistingBackups: Recover` the new server's empty data gives way to the old one's: by one Restore in place,
which is made once for that server and keeps its volume. A PostgresCluster sees to that itself, before it begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from controller import operations
from controller.recovery import former_owner, request, target
from controller.recovery.hindrance import Hindrance, never, not_yet
from controller.repository.facts import RepositoryFacts
from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.kinds import RestoreSpec
from pgwarden.api.objects import Object
from pgwarden.pgbackrest.info import Info

MISMATCH, RECOVERING, FAILED = "SystemIdentifierMismatch", "Recovering", "RecoveryFailed"
#: Of a Repository that waits, and needs nobody yet.
WAITING = frozenset({RECOVERING, former_owner.ARCHIVES, former_owner.UNKNOWN})


@dataclass(frozen=True)
class Mismatch:
    pod: str
    mine: str  # system identifier of the living server
    storage: str
    theirs: str  # of the stanza in that storage


def mismatch(facts: RepositoryFacts) -> Mismatch | None:
    """Another PostgreSQL cluster than the one the repository belongs to: nothing of its may be mixed in."""
    if facts.primary is None or facts.info is None:
        return None
    mine = facts.primary.postgres.system_identifier or ""
    for number, storage in enumerate(facts.spec.storages, 1):
        current = facts.info.current(number)
        if mine and current is not None and current.system_id != mine:
            return Mismatch(facts.primary.name, mine, storage, current.system_id)
    return None


def born(system_identifier: str) -> datetime | None:
    """When initdb was run: PostgreSQL puts that second into the identifier's upper half. None of no such number."""
    try:
        return datetime.fromtimestamp(int(system_identifier) >> 32, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def restore_name(facts: RepositoryFacts) -> str:
    """Of the one Restore that replaces the server that runs now: another server, later, has another."""
    primary = facts.primary
    at = born((primary.postgres.system_identifier or "") if primary else "")
    return names.takeover(facts.key[1], int(at.timestamp()) if at else 0)


def judge(facts: RepositoryFacts) -> Hindrance | None:
    """What is said of a mismatch; None where there is none."""
    found = mismatch(facts)
    if found is None:
        return None
    if facts.takeover is not None:
        return _at_work(facts.takeover, found)
    refused = _refusal(facts, found)
    if refused is not None:
        return refused
    if facts.info is None:
        return None
    alive = former_owner.hindrance(facts.info, facts.newest_wal, facts.now)
    if alive:
        return not_yet(alive.reason, f"{_told(facts, found)}. It is not recovered yet: {alive.message}")
    return not_yet(RECOVERING, f"{_told(facts, found)}. Restore {restore_name(facts)} is created to bring it back")


def is_asked(facts: RepositoryFacts) -> bool:
    """Whether all is so that the data is to be brought back, except that its former owner may be alive."""
    found = mismatch(facts)
    return found is not None and facts.takeover is None and _refusal(facts, found) is None


def order(facts: RepositoryFacts) -> Object | None:
    """The Restore that is to be created now."""
    said = judge(facts) if is_asked(facts) else None
    if said is None or said.reason != RECOVERING:
        return None
    name = restore_name(facts)
    return request.restore(facts.repository, name, name, keepOldVolume=True)


def _refusal(facts: RepositoryFacts, found: Mismatch) -> Hindrance | None:
    """Why nothing is brought back, which nobody but the user can change; None where it may be."""
    told = _told(facts, found)
    if _belongs_to_cluster(facts):
        return never(MISMATCH, f"{told}; give the new cluster a Repository of its own, or restore the old one")
    if not facts.spec.recovers:
        ways = "To bring that data back, set spec.onExistingBackups to Recover; to begin anew, give the new cluster a"
        return never(MISMATCH, f"{told}. {ways} Repository of another name{storages.another_folder(facts.spec)}")
    info = facts.info
    reached = target.storage(RestoreSpec(repository=facts.key[1]), facts.spec, info, facts.now)
    if isinstance(reached, Hindrance):
        return never(MISMATCH, f"{told}. onExistingBackups is Recover, but nothing can be recovered: {reached.message}")
    if info is not None and not _is_younger(found.mine, info):
        at = born(found.mine)
        since = f" (initialised {at:%Y-%m-%dT%H:%M:%SZ})" if at else ""
        text = f"{told}. The running server{since} is no newer than the backups, so it is not replaced by itself; "
        return never(MISMATCH, text + "create a Restore if that is what you want")
    return None


def _is_younger(mine: str, info: Info) -> bool:
    """Whether the living server was initialised after all that is in the repository was backed up."""
    at, newest = born(mine), max((one.stop for one in info.backups), default=None)
    return at is not None and newest is not None and at > newest


def _at_work(restore: Object, found: Mismatch) -> Hindrance:
    name, said = restore["metadata"]["name"], str((restore.get("status") or {}).get("message") or "")
    if operations.phase(restore) == "Failed":
        text = f"Restore {name} did not bring back PostgreSQL cluster {found.theirs}: {said}"
        return never(FAILED, f"{text}. Delete that Restore to try again, or create another one")
    return not_yet(
        RECOVERING, f"Restore {name} brings back PostgreSQL cluster {found.theirs}{f': {said}' if said else ''}"
    )


def _told(facts: RepositoryFacts, found: Mismatch) -> str:
    stanza = facts.stanza
    return (
        f"pod {found.pod} is PostgreSQL cluster {found.mine}, but storage {found.storage} holds stanza {stanza} of "
        f"cluster {found.theirs}, which is left unchanged"
    )


def _belongs_to_cluster(facts: RepositoryFacts) -> bool:
    owners = facts.repository["metadata"].get("ownerReferences") or []
    return any(one.get("kind") == "PostgresCluster" for one in owners)
