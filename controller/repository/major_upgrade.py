"""PostgreSQL of another major than the stanza, as after pg_upgrade: what is said, and when it is taken on. Pure.

pg_upgrade makes a new cluster, with a new system identifier: nothing in the data tells that it was another one before.
So it takes the user's word, `spec.postgres.majorVersion`. stanza-upgrade then begins a new history of the stanza; the
backups and the WAL from before stay where they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.repository import storages
from controller.repository.facts import RepositoryFacts
from controller.repository.renewal import Debt
from pgwarden.api.postgres_majors import major_of
from pgwarden.pgbackrest.info import Database

REASON, PENDING, FAILED = "MajorVersionMismatch", "StanzaUpgradePending", "StanzaUpgradeFailed"


@dataclass(frozen=True)
class MajorChange:
    """The primary in *pod* is of another major version than the stanza in *storage*."""

    pod: str
    major: int  # of the primary
    system_identifier: str
    storage: str
    number: int  # pgBackRest's, of the storage
    known: Database  # what the stanza there is of

    @property
    def stanza_major(self) -> int:
        return major_of(self.known.version) or 0


def found(facts: RepositoryFacts) -> MajorChange | None:
    """In the first storage in which it is so; None where the stanza is of the primary's major, or nothing is known."""
    primary = facts.primary
    major = major_of(primary.postgres.server_version) if primary else None
    if primary is None or facts.info is None or major is None:
        return None
    mine = primary.postgres.system_identifier or ""
    for number, storage in enumerate(facts.spec.storages, 1):
        known = facts.info.current(number)
        if known is not None and mine and known.system_id != mine and major_of(known.version) not in {None, major}:
            return MajorChange(primary.name, major, mine, storage, number, known)
    return None


def is_accepted(facts: RepositoryFacts, change: MajorChange) -> bool:
    return facts.spec.postgres.major_version == change.major


def is_due(facts: RepositoryFacts) -> bool:
    """Whether stanza-upgrade is to be run now. It goes through the storages by number, and ends at the first that
    cannot be read; what it has upgraded before it leaves as it is.
    """
    change = found(facts)
    if change is None or not facts.host_ready or facts.info_error:
        return False
    away = min((storage.number for storage in storages.unreadable(facts)), default=change.number + 1)
    return is_accepted(facts, change) and change.number < away


def debts(facts: RepositoryFacts) -> list[Debt]:
    """A full backup of today's version, in each storage that has sets of another one and no full one of today's."""
    info = facts.info
    owed: list[Debt] = []
    if info is None or found(facts) is not None:
        return owed
    for storage in storages.read(facts):
        current = info.current(storage.number)
        sets = [one for one in info.backups if one.repo == storage.number]
        before = [one for one in sets if current and major_of(info.version_of(one)) != major_of(current.version)]
        full = [one for one in sets if current and one.database_id == current.id and one.type == "full"]
        if current and before and not any(not one.error for one in full):
            text = f"storage {storage.name} holds no full backup of PostgreSQL {major_of(current.version)} yet"
            owed.append(Debt(storage.name, "MajorUpgrade", text, max(one.stop for one in before)))
    return owed


def message(facts: RepositoryFacts, change: MajorChange) -> str:
    stanza = facts.info.stanza if facts.info else ""
    told = (
        f"pod {change.pod} runs PostgreSQL {change.major} (cluster {change.system_identifier}), but storage "
        f"{change.storage} holds stanza {stanza} of PostgreSQL {change.stanza_major} (cluster {change.known.system_id})"
    )
    if is_accepted(facts, change):
        return f"{told}; the stanza is being upgraded"
    wanted = facts.spec.postgres.major_version
    other = f", not {wanted}" if wanted else ""
    return (
        f"{told}, which is left unchanged: its WAL waits in pg_wal, and no backup is taken. If that cluster was "
        f"upgraded to {change.major}, set spec.postgres.majorVersion: {change.major}{other} (the backups of PostgreSQL "
        f"{change.stanza_major} are kept); otherwise give the new cluster a Repository of its own"
    )


def event(change: MajorChange) -> str:
    return (
        f"upgraded the stanza from PostgreSQL {change.stanza_major} to {change.major} (cluster "
        f"{change.system_identifier}); backup sets of PostgreSQL {change.stanza_major} are kept, and can be "
        f"restored by spec.set into a claim of their own"
    )
