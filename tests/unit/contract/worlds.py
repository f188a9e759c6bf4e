"""Repositories with few sets and with thousands, in one storage or two, each as the controller reports it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.rules import Verdict, validate
from tests.unit.contract import produced
from tests.unit.contract.produced import NOW, Set, chain
from tests.unit.rules.conftest import Cluster, build

Object = dict[str, Any]
ABSENT = "20200101-000000F"  # the label of no set


@dataclass(frozen=True)
class World:
    """A Repository, and the sets that its storages truly hold."""

    sets: tuple[Set, ...]
    repository: Object

    def judge(self, kind: str, **spec: Any) -> Verdict:
        given = {"repository": "hippo"} | spec
        lookup = Cluster(self.repository)
        return validate(build(kind, **given), old=None, lookup=lookup, now=NOW, defaults=OperatorDefaults())

    @property
    def status(self) -> Object:
        status: Object = self.repository["status"]
        return status

    def of(self, storage: str) -> list[Set]:
        """Oldest first."""
        named = self.repository["spec"]["storageType"].split(",")
        return sorted((one for one in self.sets if named[one.repo - 1] == storage), key=lambda one: one.stop)

    @property
    def storages(self) -> list[str]:
        return [name for name in self.repository["spec"]["storageType"].split(",") if self.of(name)]


def world(sets: list[Set], storage_type: str = "local", **more: Any) -> World:
    return World(tuple(sets), produced.repository(sets, storage_type, **more))


def weekly(count: int, repo: int = 1) -> list[Set]:
    """Of seven in turn: a full one, then a diff and incremental ones."""
    return chain("".join("FIIDIII"[n % 7] for n in range(count)), repo=repo)


def two(local: list[Set], s3: list[Set]) -> World:
    return world([*local, *(replace(one, repo=2) for one in s3)], "local,s3")


def unreadable(found: World) -> World:
    """The same, while s3 cannot be read any more."""
    return World(found.sets, produced.repository(found.sets, "local,s3", before=found.status, unreadable=[2]))


COUNTS = (1, 50, 51, 60, 2000)
OLD_S3 = chain("FIIDI", last=NOW - timedelta(days=90))
#: Two timelines: 30 sets on the first, 40 on the second.
FORKED = [replace(one, timeline=1 if n < 30 else 2) for n, one in enumerate(chain("F" + "I" * 69))]
WORLDS: dict[str, Callable[[], World]] = {
    **{f"{n} sets, the one full far back": lambda n=n: world(chain("F" + "I" * (n - 1))) for n in COUNTS},
    **{f"{n} sets of all types": lambda n=n: world(weekly(n)) for n in COUNTS},
    **{f"{n} full ones": lambda n=n: world(chain("F" * n)) for n in COUNTS},
    "two storages, all of s3 older than the list": lambda: two(chain("F" + "I" * 59), OLD_S3),
    "two storages, 30 each": lambda: two(weekly(30), chain("F" + "D" * 29)),
    "two storages with the same labels": lambda: two(chain("F" + "I" * 39), chain("F" + "I" * 39)),
    "two storages, s3 not readable now": lambda: unreadable(two(weekly(60), chain("F" + "I" * 59))),
    "two storages, old s3 not readable now": lambda: unreadable(two(chain("F" + "I" * 59), OLD_S3)),
    "two timelines": lambda: world(FORKED),
    "s3 alone": lambda: world(chain("F" + "I" * 59), "s3"),
}


def some(sets: list[Set]) -> list[Set]:
    """The ends, the middle, and what is next to the end of the list."""
    wanted = {0, 1, len(sets) // 2, len(sets) - 51, len(sets) - 50, len(sets) - 1}
    return [sets[n] for n in sorted(wanted) if 0 <= n < len(sets)]
