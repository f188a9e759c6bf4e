"""Which backup sets build on another one, by a Repository's status. Pure."""

from __future__ import annotations

from typing import Any

from pgwarden.api.rules.common import get, objects

Object = dict[str, Any]


def dependents(repository: Object | None, label: str, repo: int | None) -> list[str]:
    """Labels of the sets in storage *repo* that pgBackRest expires with *label*, oldest first.

    A full one's are all that carry its label; a diff's or an incr's those that come from it, directly or not.
    """
    listed = [one for one in objects(repository, "status", "backups") if repo is None or one.get("repo") == repo]
    found = {label}
    for one in sorted(listed, key=lambda one: str(one.get("stopTime"))):
        own = str(one.get("label"))
        if str(one.get("prior")) in found or own.startswith(f"{label}_"):
            found.add(own)
    return sorted(found - {label})


def is_only_full(repository: Object | None, label: str, repo: int | None) -> bool:
    """Whether *label* is the one full set that is left in its storage: pgBackRest never expires that."""
    listed = [one for one in objects(repository, "status", "backups") if repo is None or one.get("repo") == repo]
    full = {str(one.get("label")) for one in listed if one.get("type") == "full"}
    return full == {label}


def set_of(backup: Object) -> tuple[str, int | None]:
    """The label of the set that *backup* has made, empty where there is none (yet), and the number of its storage."""
    return get(backup, str, "status", "label") or "", get(backup, int, "status", "repo")
