"""How fast the Restores before were, by their own status. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from pgwarden.api import records
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, moment, objects

_LATEST = 5  # of the Restores before that count


@dataclass(frozen=True)
class Pace:
    """Bytes copied and segments replayed in a second; `of` Restores. None: none of them tells."""

    copied: float | None = None
    replayed: float | None = None
    of: int = 0

    def seconds(self, copy_bytes: int, segments: int | None) -> int | None:
        """What copying and replaying takes; None where either pace is not known."""
        if self.copied is None:
            return None
        copying = copy_bytes / self.copied
        if not segments:
            return round(copying)
        return round(copying + segments / self.replayed) if self.replayed else None


def measured(restores: Iterable[Object]) -> Pace:
    """Of the newest Completed ones, which are not records of earlier ones: those have measured nothing."""
    over = [one for one in restores if get(one, str, "status", "phase") == "Completed" and not records.is_record(one)]
    newest = sorted(over, key=lambda one: get(one, str, "status", "completionTime") or "", reverse=True)[:_LATEST]
    copied = [found for one in newest if (found := _copied(one))]
    replayed = [found for one in newest if (found := _replayed(one))]
    return Pace(median(copied) if copied else None, median(replayed) if replayed else None, len(copied))


def _copied(restore: Object) -> float | None:
    done = get(restore, int, "status", "recovery", "copiedBytes") or get(
        restore, int, "status", "forecast", "copyBytes"
    )
    return _rate(done, _between(restore, ("VolumeReady",), ("Restored",)))


def _replayed(restore: Object) -> float | None:
    done = get(restore, int, "status", "recovery", "segments")
    if done is None:
        done = get(restore, int, "status", "forecast", "walSegments")
    return _rate(done, _between(restore, ("Restored", "Started"), ("Replayed", "Recovered")))


def _rate(done: int | None, seconds: float | None) -> float | None:
    return done / max(1.0, seconds) if done and seconds is not None else None


def _between(restore: Object, starts: tuple[str, ...], ends: tuple[str, ...]) -> float | None:
    """Seconds between two steps. While PostgreSQL replayed only after its start, that began with another one."""
    times = {
        str(one.get("type")): moment(one.get("lastTransitionTime"))
        for one in objects(restore, "status", "conditions")
        if one.get("status") == "True"
    }
    for start, end in zip(starts, ends, strict=True):
        began, ended = times.get(start), times.get(end)
        if began is not None and ended is not None and (end != "Recovered" or "Replayed" not in times):
            return (ended - began).total_seconds()
    return None
