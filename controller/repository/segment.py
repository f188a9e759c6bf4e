"""Asking PostgreSQL for a first WAL segment: when it can help, how often, and what is said of it. Pure.

An idle server closes no segment for days, and until one has arrived in a storage nobody knows that archiving works. So
one is asked for: by a commit and `pg_switch_wal()`, which cost 16 MiB of WAL each time. Only where nothing known stands
in its way, never twice in a minute, and less and less often where it does not help. `status.segmentAsked` remembers it,
so that another leader goes on where this one ended; the agent beside PostgreSQL refuses a second one on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from controller.repository.facts import RepositoryFacts
from controller.runtime import conditions
from controller.runtime.backoff import Pace
from pgwarden.api.objects import Object
from pgwarden.api.target import parse_time
from pgwarden.contract import calls
from pgwarden.contract.calls import Call, Fenced

PACE = Pace(timedelta(minutes=1), timedelta(minutes=15))
#: Seconds for which one that was asked for is waited for.
WAIT_SECONDS = 20
FIELD = "segmentAsked"


@dataclass(frozen=True)
class Asked:
    last: datetime
    times: int
    generation: int  # of the Repository then

    @property
    def next(self) -> datetime:
        return self.last + PACE.pause(self.times)

    def entry(self) -> Object:
        """For `status.segmentAsked`: whole seconds, rounded up, so that a minute is one."""
        last = self.last + timedelta(microseconds=999_999)
        return {
            "time": conditions.timestamp(last),
            "times": self.times,
            "next": conditions.timestamp(last + PACE.pause(self.times)),
            "generation": self.generation,
        }


def asked(facts: RepositoryFacts) -> Asked | None:
    """When one was asked for last, and how often in this series. Another spec begins another series."""
    found = [one for known in _known(facts) if (one := _read(known, facts))]
    return max(found, key=lambda one: one.last, default=None)


def _known(facts: RepositoryFacts) -> list[Any]:
    """What the status says, and what this process remembers."""
    return [(facts.repository.get("status") or {}).get(FIELD), facts.segment_asked]


def _read(known: Any, facts: RepositoryFacts) -> Asked | None:
    if not isinstance(known, dict):
        return None
    generation = facts.repository["metadata"]["generation"]
    try:
        last, times = parse_time(str(known.get("time"))), int(known.get("times") or 0)
    except (ValueError, TypeError):
        return None
    if last > facts.now + timedelta(seconds=1):  # by a clock that was ahead: that would be waited for without end
        return None
    return Asked(last, times if known.get("generation") == generation else 0, generation)


def ask(facts: RepositoryFacts) -> Asked:
    """One more, now."""
    before = asked(facts)
    return Asked(facts.now, before.times + 1 if before else 1, facts.repository["metadata"]["generation"])


def kept(facts: RepositoryFacts, *, archives: bool) -> Object | None:
    """`status.segmentAsked` from now on. It stays for a while where all is well: what turns often is one series."""
    before = asked(facts)
    if before is None or (archives and facts.now - before.last > PACE.longest):
        return None
    known: list[Object] = [one for one in _known(facts) if _read(one, facts)]
    return max(known, key=lambda one: str(one["time"]))


def call() -> Call[Fenced]:
    """To the agent, which refuses it within a minute of the one before."""
    return calls.fence(WAIT_SECONDS, every=PACE.first.total_seconds())


def lacking(facts: RepositoryFacts) -> list[str]:
    """The storages in which no segment has been seen."""
    if facts.info is None:
        return []
    archives = {number: facts.info.archive(number) for number in range(1, len(facts.spec.storages) + 1)}
    named = enumerate(facts.spec.storages, 1)
    return [storage for number, storage in named if not ((one := archives[number]) and one.max)]


def hindrance(facts: RepositoryFacts, stanza: str) -> str:
    """Why none is asked for now; empty where one may be. *stanza*: why that is not in every storage, or empty."""
    if facts.secret_error:
        return f"no WAL switch is requested until the Secret exists: {facts.secret_error}"
    primary = facts.primary
    if primary is None:
        return "no WAL switch is requested without a primary"
    if facts.info is not None and len(facts.info.repos) < len(facts.spec.storages):
        return "no WAL switch is requested until the repository host has the new configuration"
    if stanza:
        return f"no WAL switch is requested until the stanza is in every storage: {stanza}"
    if facts.on_the_way:
        return f"no WAL switch is requested until pod {primary.name} has the new configuration"
    waiting = primary.unarchived
    if waiting:
        wait = "1 segment waits" if waiting == 1 else f"{waiting} segments wait"
        return f"no WAL switch is requested, as {wait} in pg_wal of pod {primary.name}"
    before = asked(facts)
    if before is not None and facts.now < before.next:
        return f"{_told(before)}{_failed(facts)}; next request at {conditions.timestamp(before.next)}"
    return ""


def message(facts: RepositoryFacts, storage: str, stanza: str) -> str:
    """Of NoWALYet."""
    why = hindrance(facts, stanza) or "a WAL switch is requested"
    return f"no WAL segment has been seen in storage {storage} yet; {why}"


def event(facts: RepositoryFacts) -> str:
    pod = facts.primary.name if facts.primary else "?"
    where = " and ".join(f"storage {storage}" for storage in lacking(facts))
    return f"asking PostgreSQL in pod {pod} to switch WAL: {where} has no segment yet"


def _told(before: Asked) -> str:
    often = f" for the {before.times}th time" if before.times > 3 else ""
    return f"a WAL switch was requested{often} at {conditions.timestamp(before.last)}"


def _failed(facts: RepositoryFacts) -> str:
    return f" ({facts.segment_error})" if facts.segment_error else ""
