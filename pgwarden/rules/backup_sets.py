"""The backup sets of a Repository, by its status: the only reader of `status.backups`. Pure.

`status.backups` lists the newest LISTED sets of all storages. What must be known of every set stands as facts beside
the storage that holds it, in `status.storages[]`. A status from before there were such facts is whole where it lists
fewer than LISTED.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects
from pgwarden.api.target import TargetError, parse_lsn, timeline_of_segment
from pgwarden.storages import names_of as storages_of

LISTED = 50  # sets in status.backups; all of them are in `pgbackrest info`
TYPES = ("full", "diff", "incr")
#: Where the facts of a storage tell of its newest set of a type.
LAST = {"full": "lastFull", "diff": "lastDiff", "incr": "lastIncr"}
FACTS = ("backupCount", "backupCounts", "damagedBackups", "earliestLsn", "earliestTimeline", *LAST.values())


def facts_of(newest: Iterable[Object]) -> Object:
    """FACTS of all the sets in one storage, given newest first in the form of `status.backups`."""
    sets = list(newest)
    facts: Object = {
        "backupCount": len(sets),
        "backupCounts": {kind: sum(one.get("type") == kind for one in sets) for kind in TYPES},
    }
    damaged = sum(bool(one.get("error")) for one in sets)
    if damaged:
        facts["damagedBackups"] = damaged
    positions = [(position, one["lsnStop"]) for one in sets if (position := _lsn(one.get("lsnStop"))) is not None]
    timelines = [timeline for one in sets if (timeline := timeline_of_segment(one.get("walStop")))]
    if positions:
        facts["earliestLsn"] = min(positions)[1]
    if timelines:
        facts["earliestTimeline"] = min(timelines)
    for kind, field in LAST.items():
        last = next((one for one in sets if one.get("type") == kind), None)
        if last is not None:
            facts[field] = {key: last[key] for key in ("label", "startTime", "stopTime") if key in last}
    return facts


@dataclass(frozen=True)
class Held:
    """What one storage holds: of its sets the newest, and `facts` of them all, where the status has any."""

    name: str
    repo: int
    listed: tuple[Object, ...]  # newest first: what is newer than one of them is listed too
    facts: Object | None
    read: bool  # at least once: else nothing is known of it

    @property
    def count(self) -> int | None:
        return get(self.facts, int, "backupCount")

    @property
    def whole(self) -> bool:
        return self.count is not None and self.count <= len(self.listed)

    @property
    def told(self) -> list[Object]:
        there = [one.get("type") for one in self.listed]
        place = {"storage": self.name, "repo": self.repo}
        told = [(kind, get(self.facts, dict, LAST[kind])) for kind in TYPES if kind not in there]
        return [*self.listed, *(fact | place | {"type": kind} for kind, fact in told if fact)]


@dataclass(frozen=True)
class BackupSets:
    """The sets of all storages or, after `of_storage` and `of_repo`, of one. Nobody else slices or sorts them."""

    held: tuple[Held, ...]

    def of_storage(self, name: str | None) -> BackupSets:
        """Those in storage *name*; all of them where it is empty or None."""
        return BackupSets(tuple(one for one in self.held if not name or one.name == name))

    def of_repo(self, number: int | None) -> BackupSets:
        """Those in pgBackRest's repository *number*; all of them where it is None."""
        return BackupSets(tuple(one for one in self.held if number is None or one.repo == number))

    @property
    def newest_first(self) -> list[Object]:
        """The sets that are listed."""
        return newest_first(entry for one in self.held for entry in one.listed)

    @property
    def known(self) -> bool:
        """Whether every storage has been read at least once: of one that was not, nothing is known."""
        return bool(self.held) and all(one.read for one in self.held)

    @property
    def whole(self) -> bool:
        """Whether every set that there is is listed. What a list that is cut does not show may well be there."""
        return bool(self.held) and all(one.whole for one in self.held)

    @property
    def some(self) -> bool:
        """Whether there is any set, as far as is known."""
        return self.least > 0

    @property
    def least(self) -> int:
        """How many there are at least: of a storage that was never read, those that are listed."""
        return sum(max(one.count or 0, len(one.listed)) for one in self.held)

    def count(self, kind: str = "") -> int | None:
        """How many there are, of *kind* (full, diff, incr) or in all; None where that is not known."""
        counts = [get(one.facts, int, "backupCounts", kind) if kind else one.count for one in self.held]
        known = [count for count in counts if count is not None]
        return sum(known) if known and len(known) == len(counts) else None

    @property
    def told(self) -> list[Object]:
        """The sets that are listed, and what the facts tell of a type that has none there; newest first.

        Of one that is not listed only label, type, place and times are known.
        """
        return newest_first(entry for one in self.held for entry in one.told)

    def labelled(self, label: str) -> list[Object]:
        """The listed sets of that label: at most one in each storage."""
        return [one for one in self.newest_first if one.get("label") == label]

    def latest(self, kind: str, most: int = 1) -> list[Object]:
        """The newest sets of *kind*, at most so many of those that are told."""
        return [one for one in self.told if one.get("type") == kind][:most]

    def damaged(self) -> tuple[list[str], int]:
        """Labels of the listed sets that hold pages with wrong checksums, and how many more there are."""
        labels = [str(one.get("label")) for one in self.newest_first if one.get("error")]
        total = sum(get(one.facts, int, "damagedBackups") or 0 for one in self.held)
        return labels, max(0, total - len(labels))

    def first_lsn(self, label: str = "") -> int | None:
        """The least WAL position at which one of the sets (of that label) is consistent; None where it is not known."""
        return self._least(label, lambda one: _lsn(one.get("lsnStop")), lambda one: _lsn(one.get("earliestLsn")))

    def first_timeline(self, label: str = "") -> int | None:
        """The least timeline on which one of the sets (of that label) ends; None where it is not known."""
        return self._least(
            label, lambda one: timeline_of_segment(one.get("walStop")), lambda one: get(one, int, "earliestTimeline")
        )

    def _least(
        self, label: str, of_set: Callable[[Object], int | None], of_facts: Callable[[Object], int | None]
    ) -> int | None:
        """Of a set that is not listed nothing is known but that it is none before the first one of its storage."""
        found = []
        for one in self.held:
            listed = [of_set(entry) for entry in one.listed if label and entry.get("label") == label]
            if one.count == 0 or (label and one.whole and not listed):
                continue
            value = listed[0] if listed else of_facts(one.facts or {})
            if value is None:
                return None
            found.append(value)
        return min(found, default=None)

    def __str__(self) -> str:
        """`50 backup sets`, or `the newest 50 of 2000 backup sets`."""
        shown, total = len(self.newest_first), self.count()
        if self.whole:
            return f"{shown} backup set{'' if shown == 1 else 's'}"
        return f"the newest {shown} of {total} backup sets" if total is not None else f"the newest {shown} backup sets"


def of(repository: Object | None) -> BackupSets:
    """Of a status of any shape."""
    listed, named = objects(repository, "status", "backups"), storages_of(repository)
    entries = {str(one.get("name")): one for one in objects(repository, "status", "storages")}
    with_facts = any(get(one, int, "backupCount") is not None for one in entries.values())
    read = not with_facts and get(repository, list, "status", "backups") is not None
    places = [_storage(one, named) for one in listed]
    held = []
    for name in dict.fromkeys([*named, *entries, *places]):
        own = newest_first(one for one, place in zip(listed, places, strict=True) if place == name)
        entry = entries.get(name, {})
        has_facts = get(entry, int, "backupCount") is not None
        facts = entry if has_facts else facts_of(own) if read and len(listed) < LISTED else None
        number = get(entry, int, "repo") or get(next(iter(own), None), int, "repo")
        number = number or (named.index(name) + 1 if name in named else 0)
        held.append(Held(name, number, tuple(own), facts, read or has_facts))
    return BackupSets(tuple(held))


def newest_first(sets: Iterable[Object]) -> list[Object]:
    """By the end of each; of those that ended in the same second, the later label first."""
    return sorted(sets, key=lambda one: (str(one.get("stopTime") or ""), str(one.get("label"))), reverse=True)


def _storage(one: Object, named: tuple[str, ...]) -> str:
    number = get(one, int, "repo") or 1
    return get(one, str, "storage") or (named[number - 1] if 0 < number <= len(named) else f"repo{number}")


def _lsn(text: Any) -> int | None:
    try:
        return parse_lsn(text) if isinstance(text, str) else None
    except TargetError:
        return None
