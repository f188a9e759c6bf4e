"""`status.forecast`: what this Restore will take, told before anything is done. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from controller.recovery.plan import Plan, Undone
from controller.restore.facts import RestoreFacts
from pgwarden.forecast import data_claim, forecast, pace
from pgwarden.forecast.forecast import View
from pgwarden.forecast.way_back import Before
from pgwarden.pgbackrest.info import Info


def status(facts: RestoreFacts, plan: Plan, info: Info) -> dict[str, Any]:
    """By the set and timeline of an undo, which *facts* and *plan* have already, and by the Restores before."""
    view = View(
        info=info,
        storages=facts.repo_spec.storages,
        repository=facts.repository,
        pace=pace.measured(one for one in facts.operations if one["kind"] == "Restore"),
        claim_bytes=data_claim.size({"spec": plan.restored_spec}),
    )
    spec = msgspec.structs.replace(facts.spec, storage=plan.storage or facts.spec.storage)
    told = forecast.make(spec, view, facts.now, _before(plan.undone))
    return {"forecast": msgspec.to_builtins(told)}


def _before(undone: Undone | None) -> Before | None:
    return Before(undone.restore, undone.timeline, undone.stopped, undone.lsn) if undone else None
