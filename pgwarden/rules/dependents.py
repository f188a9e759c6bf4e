"""Which backup sets build on another one, by a Repository's status. Pure."""

from __future__ import annotations

from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.rules import backup_sets
from pgwarden.storages import names_of as storages_of


def dependents(repository: Object | None, label: str, repo: int | None) -> list[str]:
    """Labels of the listed sets in storage *repo* that pgBackRest expires with *label*, oldest first.

    A full one's are all that carry its label; a diff's or an incr's those that come from it, directly or not.
    """
    found = {label}
    for one in reversed(backup_sets.of(repository).of_repo(repo).newest_first):
        own = str(one.get("label"))
        if str(one.get("prior")) in found or own.startswith(f"{label}_"):
            found.add(own)
    return sorted(found - {label})


def may_have_more(repository: Object | None, label: str, repo: int | None) -> bool:
    """Whether sets may build on *label* that `dependents` knows nothing of. All that are newer than a listed one are
    listed themselves, so that of such a one all are known.
    """
    sets = backup_sets.of(repository).of_repo(repo)
    return not sets.whole and not sets.labelled(label)


def is_only_full(repository: Object | None, label: str, repo: int | None) -> bool:
    """Whether *label* is known to be the one full set left in its storage: pgBackRest never expires that."""
    sets = backup_sets.of(repository).of_repo(repo)
    return sets.count("full") == 1 and [one.get("label") for one in sets.latest("full")] == [label]


def set_of(backup: Object) -> tuple[str, int | None]:
    """The label of the set that *backup* has made, empty where there is none (yet), and the number of its storage."""
    return get(backup, str, "status", "label") or "", get(backup, int, "status", "repo")


def set_in(repository: Object, backup: Object) -> tuple[str, int | None]:
    """As `set_of`, with the number that the storage has now: s3 becomes the second where a local one is added."""
    label, repo = set_of(backup)
    storage, named = get(backup, str, "status", "storage"), storages_of(repository)
    return label, named.index(storage) + 1 if storage in named else repo
