"""What a Repository is to have done to it now, beside the Backups it asks for: judgements over the facts. Pure."""

from __future__ import annotations

from controller.repository import decide, lost, segment, storages
from controller.repository.facts import RepositoryFacts
from pgwarden.api import archive_timeout
from pgwarden.storages import on_volume


def wants_stanza(facts: RepositoryFacts) -> bool:
    """Whether stanza-create is to be run now; never on what belongs to another cluster."""
    if not facts.host_ready or facts.info_error or facts.primary is None or decide.foreign_cluster(facts) is not None:
        return False
    return decide.stanza_missing(facts) and (not _out_of_reach(facts) or bool(lone_stanza(facts)))


def lone_stanza(facts: RepositoryFacts) -> int:
    """The number of a storage that has no stanza, while another one cannot be read or written to: stanza-create goes
    through all of them, and ends at the first that is in trouble. 0 where there is none.
    """
    away = _out_of_reach(facts)
    there = [number for number in range(1, len(facts.spec.storages) + 1) if number not in away]
    return next((number for number in there if away and storages.lacks_stanza(facts, number)), 0)


def _out_of_reach(facts: RepositoryFacts) -> set[int]:
    """The numbers of the storages in which no stanza can be made now."""
    found = {storage.number for storage in storages.unreadable(facts)}
    local = on_volume(facts.spec)
    return found | ({facts.spec.repo_number(local)} if local and lost.unwritable(facts) else set())


def wants_archive_timeout(facts: RepositoryFacts) -> int | None:
    """The seconds that the primary's agent is to bring archive_timeout to; None where all is as it should be.

    Patroni writes PostgreSQL's configuration itself. A user's value stays, and ours beside it goes.
    """
    primary = facts.primary
    told = primary and primary.answer and primary.answer.facts and primary.answer.facts.archive_timeout
    if not told or not primary or primary.facts is None or primary.facts.configured_by == "Patroni":
        return None
    if decide.foreign_cluster(facts) is not None:
        return None
    wanted = archive_timeout.seconds(facts.spec.archive_timeout)
    if wanted is None:
        return None
    if told.set_by == "user" or not wanted:
        return 0 if told.own is not None else None
    return wanted if told.own != wanted else None


def needs_fence(facts: RepositoryFacts) -> bool:
    """An idle cluster archives its first segment only after 16 MB: close it, so that archiving is seen to work.

    Only where that can help, and in its time (`segment`).
    """
    return decide.archiving(facts).reason == "NoWALYet" and not segment.hindrance(facts, decide.no_stanza(facts))
