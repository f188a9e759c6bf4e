"""What a storage has lost: its backups, half of its stanza, its room. Pure.

pgBackRest makes a stanza anew only where neither half of it is there: `archive.info` without `backup.info`, or the
other way around, is "a symptom of repository corruption" to it, and folders that are not empty are refused as well. So
what is left of such a stanza is set aside on the same volume, where nothing deletes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from controller.repository import expiry, storages
from controller.repository.facts import RepositoryFacts
from controller.repository.renewal import Debt
from pgwarden.api import names
from pgwarden.contract.status import Half, Volume
from pgwarden.pgbackrest.trouble import Trouble
from pgwarden.rules import backup_sets
from pgwarden.storages import on_volume

#: Two WAL segments: with less, archive-push is about to fail.
LEAST_FREE = 32 * 1024 * 1024
_MIB = 1024 * 1024


def debts(facts: RepositoryFacts) -> list[Debt]:
    """A full backup in each storage that held backups by the status, was read just now, and holds none."""
    held = backup_sets.of(facts.repository)
    found = []
    for storage in storages.read(facts):
        before = held.of_storage(storage.name).count()
        if not before or any(one.repo == storage.number for one in (facts.info.backups if facts.info else ())):
            continue
        sets = "its backup" if before == 1 else f"its {before} backups"
        message = f"storage {storage.name} no longer holds {sets}; a new full backup is owed"
        found.append(Debt(storage.name, "BackupsLost", message, facts.now))
    return found


def newest_full(facts: RepositoryFacts) -> dict[str, datetime]:
    """Storage → when its newest full backup without errors began."""
    numbers = {storage.number: storage.name for storage in storages.read(facts)}
    found: dict[str, datetime] = {}
    for one in facts.info.backups if facts.info else ():
        if one.type == "full" and not one.error and one.repo in numbers:
            found[numbers[one.repo]] = one.start
    return found


# --- half of a stanza -------------------------------------------------------------------------------------------


def half(facts: RepositoryFacts) -> Trouble | None:
    """What is left of the stanza on the volume where that keeps stanza-create from making it; None where nothing is."""
    seen = facts.volume
    if seen is None or seen.archive is None or seen.backup is None or facts.away is not None:
        return None
    archive, backup = _state(seen.archive), _state(seen.backup)
    if archive == backup and archive != "rest":
        return None
    stanza = facts.stanza
    left = {"whole": "is there", "rest": "has no info file", "nothing": "is gone"}
    sentence = f"part of the stanza is lost: archive/{stanza} {left[archive]}, backup/{stanza} {left[backup]}"
    return Trouble("RepositoryHalfLost", sentence)


def wants_set_aside(facts: RepositoryFacts) -> bool:
    """Whether what is left is to be moved now: by a primary of the cluster that it is of, while nothing uses it."""
    if half(facts) is None or facts.primary is None or facts.operation or unwritable(facts) is not None:
        return False
    known = (facts.repository.get("status") or {}).get("systemIdentifier")
    return not known or known == facts.primary.postgres.system_identifier


def set_aside_message(facts: RepositoryFacts, folder: str) -> str:
    found = half(facts)
    told = f"storage {on_volume(facts.spec)}: {found.sentence}" if found else ""
    return f"{told}; what was left is in {folder} of the volume, where pgwarden does not touch it"


def _state(seen: Half) -> str:
    """Of one half: whole (pgBackRest reads it), rest (something without info file), nothing."""
    if seen.info or seen.copy:
        return "whole"
    return "rest" if seen.holds else "nothing"


# --- room ---------------------------------------------------------------------------------------------------------


def unwritable(facts: RepositoryFacts) -> Trouble | None:
    """Why nothing can be written to the local storage's volume, which can be read; None where it can."""
    seen, storage = facts.volume, on_volume(facts.spec)
    if seen is None or not seen.mounted or facts.away is not None:
        return None
    claim = names.repo_claim(facts.key[1])
    error = seen.error or ""
    if seen.read_only or error.startswith("EROFS"):
        sentence = (
            f"storage {storage}: the volume of claim {claim} is mounted read-only; backups can be restored, and WAL "
            f"waits in pg_wal. File systems turn read-only after errors of their disk: see the node's kernel log, "
            "repair or replace the disk, then delete the repository host's pod"
        )
        return Trouble("RepositoryReadOnly", sentence)
    if _is_full(seen):
        offered = expiry.offer(facts)
        room = f"or {offered.words}" if offered else "there is no older full backup to expire"
        sentence = (
            f"storage {storage}: the volume of claim {claim} is full ({_room(seen)}); backups can be restored, and WAL "
            f"waits in pg_wal. Raise {_field(facts)} if the storage class can expand volumes; {room}"
        )
        return Trouble("RepositoryFull", sentence)
    if error:
        return Trouble("RepositoryNotWritable", f"storage {storage}: claim {claim} cannot be written to: {error}")
    return None


def _is_full(seen: Volume) -> bool:
    out = (seen.error or "").startswith(("ENOSPC", "EDQUOT"))
    return out or (seen.free is not None and seen.free < LEAST_FREE)


def _room(seen: Volume) -> str:
    if seen.free is None or seen.size is None:
        return seen.error or "no room"
    return f"{seen.free // _MIB} of {seen.size // _MIB} MiB free"


def _field(facts: RepositoryFacts) -> str:
    return f"spec.{on_volume(facts.spec)}.size"


def hindrances(facts: RepositoryFacts, of_status: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Storage → why no full backup can begin there now. *of_status*: what the Repository's status says of each."""
    found = {name: why for name, why in of_status if why}
    if facts.primary is None:
        return dict.fromkeys(facts.spec.storages, "no primary responds") | found
    trouble = unwritable(facts)
    if trouble is not None:
        found.setdefault(on_volume(facts.spec), trouble.sentence)
    return found
