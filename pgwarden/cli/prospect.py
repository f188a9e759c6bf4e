"""What a Restore that is not made yet will do: its forecast and its claims, by what the cluster shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from pgwarden.api import names
from pgwarden.api.kinds import RestoreSpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, moment, objects
from pgwarden.cli.session import Session
from pgwarden.forecast import data_claim, forecast, pace, told_info, way_back
from pgwarden.forecast.forecast import Forecast, View
from pgwarden.forecast.pace import Pace
from pgwarden.forecast.way_back import Before
from pgwarden.kube import errors, paths
from pgwarden.pgbackrest.info import Info
from pgwarden.storages import names_of as storages_of


@dataclass(frozen=True)
class Around:
    """What else is there: of this Repository. `pods` and `claims` are empty where they may not be read."""

    restores: Sequence[Object] = ()
    backups: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    claims: Mapping[str, Object] = field(default_factory=dict)


@dataclass(frozen=True)
class Prospect:
    spec: RestoreSpec  # of an undo with the set and timeline that were found
    info: Info
    forecast: Forecast
    pace: Pace
    before: Before | None = None
    claim: str = ""  # whose volume is replaced; empty where that is not known
    new_claim: str = ""
    kept_claim: str = ""

    def json(self) -> Object:
        """For programs: as the Restore's status will have it."""
        claims = {"claim": self.claim, "newClaim": self.new_claim, "keptClaim": self.kept_claim}
        known: Object = {key: value for key, value in claims.items() if value}
        return known | {"forecast": msgspec.to_builtins(self.forecast)}


def of(restore: Object, repository: Object, now: datetime, around: Around) -> Prospect:
    """Pure."""
    spec = msgspec.convert(restore["spec"], RestoreSpec)
    info = _of_then(repository) if spec.repo_target_time else told_info.of(repository)
    primary = get(repository, str, "status", "primary") or ""
    claim, name = data_claim.of(around.pods, primary), restore["metadata"]["name"]
    wanted = spec.new_volume.size if spec.new_volume else None
    measured = pace.measured(around.restores)
    latest = [found for one in objects(repository, "status", "recoveryWindow") if (found := moment(one.get("latest")))]
    view = View(
        info=info,
        storages=storages_of(repository),
        repository=repository,
        archived=max(latest, default=None),
        pace=measured,
        claim_bytes=data_claim.size(around.claims.get(claim), wanted),
        cut=told_info.cut(repository),
    )
    before = _before(spec.undo, info, around)
    spec = (before and forecast.undone(spec, before, view, around.restores)) or spec
    known = {"claim": claim} if not spec.volume_claim else {}
    return Prospect(
        spec=spec,
        info=info,
        forecast=forecast.make(spec, view, now, before),
        pace=measured,
        before=before,
        new_claim=spec.volume_claim or names.restored_claim(name),
        kept_claim=_kept(spec, claim, name, around.claims),
        **known,
    )


def _of_then(repository: Object) -> Info:
    """The status tells of now: what an earlier time's storage holds, the Restore finds out."""
    return msgspec.structs.replace(told_info.of(repository), backups=(), archives=())


def _before(undo: str, info: Info, around: Around) -> Before | None:
    if not undo:
        return None
    there = next((one for one in around.restores if one["metadata"]["name"] == undo), None)
    found = way_back.before(undo, there, info)
    if isinstance(found, Before):
        return found
    return way_back.by_backup(undo, around.backups) or Before(undo, 0)


def _kept(spec: RestoreSpec, claim: str, name: str, claims: Mapping[str, Object]) -> str:
    if spec.volume_claim or not claim or not spec.keep_old_volume:
        return ""
    return names.free(names.kept_claim(claim, name), claims)


# --- reading -----------------------------------------------------------------------------------------------------


async def read(session: Session, repository: str, there: Sequence[Object]) -> Around:
    """*there* are the namespace's objects of our kinds."""
    own = [one for one in there if get(one, str, "spec", "repository") == repository]
    return Around(
        restores=[one for one in own if one["kind"] == "Restore"],
        backups=[one for one in own if one["kind"] == "Backup"],
        pods=await _items(session, "pods", labelSelector=f"{names.LABEL_REPOSITORY}={repository}"),
        claims={one["metadata"]["name"]: one for one in await _items(session, "persistentvolumeclaims")},
    )


async def _items(session: Session, plural: str, **params: str) -> list[Object]:
    try:
        found: Any = await session.client.get(paths.of(plural, session.namespace), params)
    except errors.Invalid:  # no right to look there
        return []
    return list(found["items"])
