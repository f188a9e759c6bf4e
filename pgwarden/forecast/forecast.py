"""What a Restore will take, before it is begun: the set, bytes, WAL, time and room, and what is lost. Pure.

The controller writes it into the Restore's status, from `info`; `kubectl pgwarden restore --plan` and the prompt show
the same, from the Repository's status.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pgwarden.api.kinds import Model, RestoreSpec
from pgwarden.api.objects import Object
from pgwarden.api.target import rfc3339
from pgwarden.forecast import loss, way_back
from pgwarden.forecast.pace import Pace
from pgwarden.forecast.way_back import Before
from pgwarden.pgbackrest import set_choice, wal_distance
from pgwarden.pgbackrest.info import Info


class Forecast(Model, frozen=True, kw_only=True):
    """As `status.forecast`. What is not known is None, or empty."""

    set: str = ""
    type: str = ""
    storage: str = ""
    target_timeline: str = ""
    copy_bytes: int | None = None
    wal_segments: int | None = None
    wal_bytes: int | None = None
    wal_is: str = ""  # exactly | about | atMost
    seconds: int | None = None
    room_bytes: int | None = None
    claim_bytes: int | None = None
    lost: str = ""
    lost_since: str | None = None

    @property
    def is_tight(self) -> bool:
        """Whether the new volume is smaller than the data that is copied into it."""
        return bool(self.claim_bytes and self.copy_bytes and self.claim_bytes < self.copy_bytes)


@dataclass(frozen=True)
class View:
    """What a forecast is made from. `storages` are the names of pgBackRest's repositories, from 1 on."""

    info: Info
    storages: Sequence[str]
    repository: Object | None = None
    archived: datetime | None = None  # up to when the archive goes; else until now
    pace: Pace = field(default_factory=Pace)
    claim_bytes: int | None = None
    cut: frozenset[int] = frozenset()  # repositories of which only the newest sets are known

    def repos(self, storage: str = "") -> list[int]:
        """The repositories that can be read, or the one of *storage*."""
        numbered = list(enumerate(self.storages, 1))
        if storage:
            return [number for number, name in numbered if name == storage]
        return [number for number, _ in numbered if self.info.trouble(number) is None]


def make(spec: RestoreSpec, view: View, now: datetime, before: Before | None = None) -> Forecast:
    """Of *spec*, in which an undo stands as set and timeline already; *before* is where that one goes back to."""
    open_ = spec.undo and not spec.set  # an undo of which the set is not known yet
    begun = None if open_ else set_choice.choose(spec, view.info, view.repos(spec.storage), view.cut)
    lost = loss.of(spec, begun, view.info, view.repository, now, before)
    since = rfc3339(lost.since) if lost.since else None
    if begun is None:
        return Forecast(lost=lost.text, lost_since=since, claim_bytes=view.claim_bytes)
    wal = wal_distance.of(spec, begun, view.info, archived=view.archived or now, ended=before.lsn if before else "")
    return Forecast(
        set=begun.label,
        type=begun.type,
        storage=view.storages[begun.repo - 1],
        target_timeline="" if spec.target_timeline == "latest" else spec.target_timeline,
        copy_bytes=begun.database_size,
        wal_segments=wal.segments if wal else None,
        wal_bytes=wal.bytes if wal else None,
        wal_is=wal.is_ if wal else "",
        seconds=view.pace.seconds(begun.database_size, wal.segments if wal else None),
        room_bytes=begun.database_size + (wal.bytes if wal else 0),
        claim_bytes=view.claim_bytes,
        lost=lost.text,
        lost_since=since,
    )


def undone(spec: RestoreSpec, before: Before, view: View, restores: Sequence[Object]) -> RestoreSpec | None:
    """An undo as set and timeline; None where no set that is known leads there."""
    way = way_back.find(before, way_back.forks(restores), view.info, view.repos(spec.storage))
    return None if way is None else way_back.effective(spec, way.set.label, before.timeline)
