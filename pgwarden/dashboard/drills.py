"""RestoreDrills with what they measured, the newest first. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pgwarden.api.objects import Object
from pgwarden.api.quantity import size
from pgwarden.api.reading import get, moment, objects
from pgwarden.contract import last_drills
from pgwarden.dashboard.snapshot import Snapshot, place
from pgwarden.dashboard.words import When, lasted, when

MOST = 500
#: status.seconds, in the order in which a drill has them.
PHASES = (*last_drills.OF_A_RESTORE, "checks")


@dataclass(frozen=True)
class Check:
    name: str
    outcome: str
    message: str


@dataclass(frozen=True)
class Drill:
    namespace: str
    name: str
    repository: str
    phase: str
    at: When | None
    set: str
    recovered_to: str
    copied: str
    seconds: tuple[tuple[str, int], ...]
    message: str
    checks: tuple[Check, ...]

    @property
    def total(self) -> str:
        return lasted(sum(seconds for _, seconds in self.seconds)) if self.seconds else ""


@dataclass(frozen=True)
class Drills:
    shown: tuple[Drill, ...]
    more: int  # that are older
    is_known: bool = True  # whether RestoreDrills may be read


def of(snapshot: Snapshot, now: datetime) -> Drills:
    listed = sorted(snapshot.of("restoredrills"), key=_began, reverse=True)
    shown = tuple(_drill(one, now) for one in listed[:MOST])
    return Drills(shown, max(0, len(listed) - MOST), snapshot.knows("restoredrills"))


def _began(drill: Object) -> str:
    return get(drill, str, "status", "startTime") or get(drill, str, "metadata", "creationTimestamp") or ""


def _drill(one: Object, now: datetime) -> Drill:
    (namespace, name), status = place(one, own=True), get(one, dict, "status") or {}
    told = get(one, dict, "status", "seconds") or {}
    names = [*PHASES, *sorted(str(key) for key in told if key not in PHASES)]
    seconds = [(key, found) for key in names if (found := get(told, int, key)) is not None]
    return Drill(
        namespace=namespace,
        name=name,
        repository=place(one)[1],
        phase=str(status.get("phase") or "Pending"),
        at=when(moment(_began(one)), now),
        set=str(status.get("set") or ""),
        recovered_to=str(status.get("recoveredTo") or ""),
        copied=size(get(one, int, "status", "bytes")),
        seconds=tuple(seconds),
        message=str(status.get("message") or ""),
        checks=tuple(
            Check(str(check.get("name")), str(check.get("outcome")), str(check.get("message") or ""))
            for check in objects(one, "status", "checks")
        ),
    )
