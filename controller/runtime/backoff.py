"""How often something is tried again that did not help, and how soon what does not change is looked at again. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from pgwarden.kube.cache import Key

K = TypeVar("K", bound=Hashable)
#: Keys of an Allowance; beyond, those go that have all of theirs.
REMEMBERED = 1000


@dataclass(frozen=True)
class Pace:
    first: timedelta
    longest: timedelta

    def pause(self, tries: int) -> timedelta:
        """After the *tries*-th try in a row."""
        return min(self.first * (1 << min(max(tries, 1) - 1, 30)), self.longest)


@dataclass(frozen=True)
class Tried:
    last: datetime
    times: int
    said: str = ""  # what came of the last one


class Tries(Generic[K]):
    """What was tried, by key, for as long as this process lives. A series ends where nothing was tried for long."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._tried: dict[K, Tried] = {}

    def get(self, key: K) -> Tried | None:
        return self._tried.get(key)

    def next(self, key: K) -> datetime | None:
        """Not before then; None: at once."""
        known = self._tried.get(key)
        return known.last + self._pace.pause(known.times) if known else None

    def may(self, key: K, now: datetime) -> bool:
        due = self.next(key)
        return due is None or now >= due

    def tried(self, key: K, now: datetime, said: str = "") -> None:
        known = self._tried.get(key)
        again = known is not None and now - known.last <= 2 * self._pace.longest
        self._tried[key] = Tried(now, known.times + 1 if known and again else 1, said)
        if len(self._tried) > 1 and not again:
            self._prune(now)

    def forget(self, key: K) -> None:
        self._tried.pop(key, None)

    def _prune(self, now: datetime) -> None:
        old = [key for key, one in self._tried.items() if now - one.last > 2 * self._pace.longest]
        for key in old:
            del self._tried[key]


class Allowance(Generic[K]):
    """So many at once for each key, and one more with each *refill*: what comes in bursts, but not without end."""

    def __init__(self, most: int, refill: timedelta) -> None:
        self._most, self._refill = most, refill
        self._left: dict[K, tuple[float, datetime]] = {}

    def take(self, key: K, now: datetime) -> bool:
        left = self._now(key, now)
        self._left[key] = (left - 1.0 if left >= 1.0 else left), now
        if len(self._left) > REMEMBERED:
            self._left = {one: self._left[one] for one in self._left if self._now(one, now) < self._most}
        return left >= 1.0

    def forget(self, key: K) -> None:
        self._left.pop(key, None)

    def _now(self, key: K, now: datetime) -> float:
        left, since = self._left.get(key, (float(self._most), now))
        return min(float(self._most), left + (now - since) / self._refill)


def next_look(waited: timedelta, least: float, most: float) -> float:
    """Seconds until the next look at what has been waited for that long: a tenth of it, within these bounds."""
    return min(most, max(least, waited.total_seconds() / 10))


#: Patience: this share of what it has waited already, and no more than this.
SHARE, LONGEST = 0.05, 10.0  # the latter in seconds


class Patience:
    """How soon to look again at what does not change: what each key waits for, and for how many seconds already."""

    def __init__(self) -> None:
        self._same: dict[Key, tuple[str, float]] = {}

    def wait(self, key: Key, what: str, seconds: float) -> float:
        """The seconds to wait for *what*: *seconds*, or more where it has been waited for long."""
        before, waited = self._same.get(key, ("", 0.0))
        waited = waited if before == what else 0.0
        again = max(seconds, min(SHARE * waited, LONGEST))
        self._same[key] = what, waited + again
        return again

    def forget(self, key: Key) -> None:
        self._same.pop(key, None)
