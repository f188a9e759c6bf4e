"""Every Repository at a glance, those with something wrong first. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pgwarden.api.objects import Object
from pgwarden.api.wording import span
from pgwarden.cli.output import moment
from pgwarden.cli.protection import Protection, judge
from pgwarden.dashboard import proof
from pgwarden.dashboard.proof import Proof
from pgwarden.dashboard.snapshot import Snapshot, place
from pgwarden.dashboard.words import When, when

PROTECTED, AT_RISK, BARE = "protected", "at risk", "not protected"
_ORDER = {BARE: 0, AT_RISK: 1, PROTECTED: 2}


@dataclass(frozen=True)
class Row:
    """`rpo` is the age of the newest moment that can be recovered: what a loss of the volume now would take."""

    namespace: str
    name: str
    state: str
    since: When | None
    until: When | None
    rpo: str
    window: str
    proof: Proof
    last: str
    last_at: When | None
    upcoming: When | None
    wrong: tuple[str, ...]
    notes: tuple[str, ...]
    storages: tuple[str, ...]
    cluster: str
    is_repository: bool


@dataclass(frozen=True)
class Overview:
    rows: tuple[Row, ...]
    counts: Mapping[str, int]
    is_known: bool = True  # whether Repositories may be read


def of(snapshot: Snapshot, now: datetime) -> Overview:
    known = {place(one, own=True): one for one in snapshot.of("repositories")}
    drills: dict[tuple[str, str], list[Object]] = {}
    for one in snapshot.of("restoredrills"):
        drills.setdefault(place(one), []).append(one)
    rows = [
        row(one, known.get((one.namespace, one.repository)), drills.get((one.namespace, one.repository), []), now)
        for one in judge(snapshot.there, now)
    ]
    rows.sort(key=lambda one: (_ORDER[one.state], one.namespace, one.name))
    counts = {state: sum(one.state == state for one in rows) for state in _ORDER}
    return Overview(tuple(rows), counts, snapshot.knows("repositories"))


def row(one: Protection, repository: Object | None, drills: list[Object], now: datetime) -> Row:
    return Row(
        namespace=one.namespace,
        name=one.repository,
        state=_state(one),
        since=when(one.since, now),
        until=when(one.until, now),
        rpo=span(now - one.until) if one.until and not one.foreign else "",
        window=span(one.until - one.since) if one.since and one.until else "",
        proof=proof.of(repository or {}, drills, now),
        last=str(one.last.get("type") or ""),
        last_at=when(moment(one.last.get("stopTime")), now),
        upcoming=when(one.upcoming, now),
        wrong=one.wrong,
        notes=one.notes,
        storages=one.storages,
        cluster=one.cluster,
        is_repository=repository is not None,
    )


def _state(one: Protection) -> str:
    """As the headline of `kubectl pgwarden status`."""
    if one.since is None or one.until is None or one.foreign:
        return BARE
    return PROTECTED if one.protected else AT_RISK
