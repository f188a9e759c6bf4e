"""Room on a full volume: what can be expired there, and the user's word to do it. Pure.

Retention removes nothing before the next backup has succeeded, and on a full volume none does. So the oldest full
backup is offered, with all that build on it; nobody but the user decides (annotation pgwarden.io/expire). The newest
full backup, and the WAL from the oldest one that stays, are kept whatever is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.repository import storages
from controller.repository.facts import RepositoryFacts
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.quantity import size
from pgwarden.api.reading import get
from pgwarden.pgbackrest.info import BackupSet
from pgwarden.storages import on_volume

#: In status.storages[].
FIELD = "expirable"


@dataclass(frozen=True)
class Offer:
    """A full backup that can go: with how many others that build on it, how many bytes they have, and how many full
    ones stay.
    """

    repository: str
    storage: str
    number: int
    label: str
    others: int
    bytes: int
    remaining: int

    @property
    def entry(self) -> Object:
        return {"label": self.label, "sets": self.others + 1, "size": self.bytes}

    @property
    def words(self) -> str:
        build = f" with {_sets(self.others)} on it" if self.others else ""
        return (
            f"expire the oldest full backup {self.label}{build} ({size(self.bytes)}), and the WAL before the next one: "
            f"kubectl pgwarden expire {self.repository}"
        )


def offer(facts: RepositoryFacts) -> Offer | None:
    """The oldest full backup on the volume; None where it has to stay."""
    fulls = _fulls(facts)
    found = judge(facts, fulls[0].label) if fulls else None
    return found if isinstance(found, Offer) else None


def asked(facts: RepositoryFacts) -> str:
    """The label that the user has given up."""
    return get(facts.repository, str, "metadata", "annotations", names.ANNOTATION_EXPIRE) or ""


def is_known(facts: RepositoryFacts) -> bool:
    """Whether it is known what is on the volume."""
    return facts.host_ready and any(one.name == on_volume(facts.spec) for one in storages.read(facts))


def judge(facts: RepositoryFacts, label: str) -> Offer | str:
    """What goes with *label*, or why it cannot."""
    storage = on_volume(facts.spec)
    if not storage:
        return "no storage of this Repository is on a volume; delete Backups with deletionPolicy Delete instead"
    fulls = _fulls(facts)
    if label not in {one.label for one in fulls}:
        there = ", ".join(one.label for one in fulls) or "none"
        return f"storage {storage} has no full backup {label[:64]}; its full backups: {there}"
    if not any(one.label > label and not one.error for one in fulls):
        return f"full backup {label} stays: storage {storage} has no later one without errors"
    gone = [one for one in _on_volume(facts) if one.label == label or one.label.startswith(f"{label}_")]
    return Offer(
        repository=facts.key[1],
        storage=storage,
        number=facts.spec.repo_number(storage),
        label=label,
        others=len(gone) - 1,
        bytes=sum(one.repository_delta for one in gone),
        remaining=len(fulls) - 1,
    )


def _fulls(facts: RepositoryFacts) -> list[BackupSet]:
    """The oldest first."""
    return sorted((one for one in _on_volume(facts) if one.type == "full"), key=lambda one: one.label)


def _on_volume(facts: RepositoryFacts) -> list[BackupSet]:
    storage = on_volume(facts.spec)
    if not storage or facts.info is None:
        return []
    number = facts.spec.repo_number(storage)
    return [one for one in facts.info.backups if one.repo == number]


def _sets(count: int) -> str:
    return "the one that builds" if count == 1 else f"the {count} that build"
