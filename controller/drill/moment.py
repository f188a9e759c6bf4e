"""The moment that a random target is: drawn from the recovery window, and the same again by its seed. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from pgwarden.api.kinds import RestoreDrillSpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, moment, objects
from pgwarden.rules import backup_sets, taken_back

_TRIES = 64  # of a draw that falls on what a Restore has taken back
Range = tuple[int, int]  # seconds since the epoch, both included


def draw(seed: int, repository: Object, restores: Iterable[Object], spec: RestoreDrillSpec) -> datetime | None:
    """None where the Repository knows of no moment that it can be restored to.

    A seed that is itself a moment of the window (as that in a status is) gives that one, however the window has moved.
    """
    ranges, listed = _ranges(repository, spec), list(restores)
    if not ranges:
        return None
    drawn = (datetime.fromtimestamp(_within(number, ranges), UTC) for number in _numbers(seed))
    return next((at for at in drawn if not taken_back.problem(listed, at)), None)


def _numbers(seed: int) -> Iterator[int]:
    yield seed
    for number in range(_TRIES):
        yield int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:7])


def _within(number: int, ranges: list[Range]) -> int:
    if any(first <= number <= last for first, last in ranges):
        return number
    left = number % sum(last - first + 1 for first, last in ranges)
    for first, last in ranges:
        if left <= last - first:
            return first + left
        left -= last - first + 1
    raise AssertionError("a remainder is less than the sum")


def _ranges(repository: Object, spec: RestoreDrillSpec) -> list[Range]:
    """The window's whole seconds, each once. The end of a set is no moment after it: the second behind it is first."""
    begun = _set_stop(repository, spec)
    found = []
    for one in objects(repository, "status", "recoveryWindow"):
        earliest, latest = moment(one.get("earliest")), moment(one.get("latest"))
        if earliest is None or latest is None or spec.storage not in {"", one.get("storage")}:
            continue
        first = max(at for at in (earliest, begun) if at is not None)
        found.append((math.floor(first.timestamp()) + 1, math.floor(latest.timestamp())))
    return _merged(one for one in found if one[0] <= one[1])


def _set_stop(repository: Object, spec: RestoreDrillSpec) -> datetime | None:
    if spec.set in {"", "latest"}:  # pgBackRest chooses
        return None
    listed = backup_sets.of(repository).of_storage(spec.storage or None).labelled(spec.set)
    return max((stop for one in listed if (stop := moment(get(one, str, "stopTime")))), default=None)


def _merged(ranges: Iterable[Range]) -> list[Range]:
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        else:
            merged.append((first, last))
    return merged
