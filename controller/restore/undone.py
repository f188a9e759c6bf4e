"""What a Restore with spec.undo restores: the other Restore's facts as set and timeline. Pure.

It is found out once, in Validated, and stands in the plan from then on: the other Restore may go meanwhile.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from controller.recovery import target
from controller.recovery.hindrance import Hindrance, never, not_yet
from controller.recovery.plan import Plan, Undone
from controller.restore.facts import RestoreFacts
from pgwarden.api.kinds import RestoreSpec
from pgwarden.api.objects import Object
from pgwarden.api.target import timeline_of_segment
from pgwarden.contract.calls import Fenced
from pgwarden.forecast import way_back
from pgwarden.pgbackrest.info import Info


def resolve(facts: RestoreFacts, info: Info) -> Undone | Hindrance | None:
    """None where nothing is to be undone."""
    name = facts.spec.undo
    if not name:
        return None
    restores = [one for one in facts.operations if one["kind"] == "Restore"]
    before = way_back.before(name, _of_name(restores, name), info)
    gone = target.away(facts.repo_spec, info)
    if before is None and gone:
        why = "; ".join(f"storage {storage}: {said}" for storage, said in gone.items())
        return not_yet("StorageNotReadable", f"what Restore {name} left in the backup sets cannot be read: {why}")
    if not isinstance(before, way_back.Before):
        text = before or f"there is no Restore {name}, and no backup set that one of this name has ended with"
        return never("NothingToUndo", f"spec.undo: {text}")
    way = way_back.find(before, way_back.forks(restores), info, _repos(facts, gone))
    if way is None:
        return _no_set(facts, before, gone)
    return Undone(restore=name, set=way.set.label, timeline=before.timeline, stopped=before.stopped, lsn=before.lsn)


def _of_name(restores: list[Object], name: str) -> Object | None:
    return next((one for one in restores if one["metadata"]["name"] == name), None)


def _repos(facts: RestoreFacts, gone: dict[str, str]) -> list[int]:
    wanted = [facts.spec.storage] if facts.spec.storage else list(facts.repo_spec.storages)
    return [facts.repo_spec.repo_number(one) for one in wanted if one not in gone]


def _no_set(facts: RestoreFacts, before: way_back.Before, gone: dict[str, str]) -> Hindrance:
    unread = {name: why for name, why in gone.items() if facts.spec.storage in {"", name}}
    if unread:
        return not_yet("StorageNotReadable", "; ".join(f"storage {name}: {why}" for name, why in unread.items()))
    where = f"storage {facts.spec.storage}" if facts.spec.storage else "the Repository"
    kept = f"; the old data is in claim {before.kept_claim}" if before.kept_claim else ""
    text = f"no backup set is left in {where} that leads to timeline {before.timeline}, which it ended"
    return never("NoWayBack", f"spec.undo: Restore {before.restore}: {text}{kept}")


def spec_of(spec: RestoreSpec, plan: Plan | None) -> RestoreSpec:
    """*spec* with the set and the timeline that were found for it."""
    undone = plan.undone if plan else None
    return spec if undone is None else way_back.effective(spec, undone.set, undone.timeline)


def resolved(facts: RestoreFacts, undone: Undone | None) -> RestoreFacts:
    if undone is None:
        return facts
    return replace(facts, spec=way_back.effective(facts.spec, undone.set, undone.timeline))


def title(undone: Undone) -> str:
    at = f" at {undone.stopped}" if undone.stopped else ""
    return f"the state from just before Restore {undone.restore} stopped PostgreSQL{at} (timeline {undone.timeline})"


# --- what an undo of this Restore will need ------------------------------------------------------------------------


def newest_timeline(info: Info) -> int | None:
    """The one that PostgreSQL is on, as far as the archive tells."""
    current = filter(None, (info.archive(one.repo) for one in info.repos))
    return max(filter(None, (timeline_of_segment(one.max) for one in current)), default=None)


def marked(plan: Plan, answer: Fenced) -> tuple[Plan, dict[str, object]]:
    """Where PostgreSQL is, by what it has just archived: into the plan, and into the status."""
    timeline = timeline_of_segment(answer.wal)
    if timeline is None or not plan.in_place:
        return plan, {}
    after = msgspec.structs.replace(plan, timeline_before=timeline, lsn_before=answer.lsn or "")
    return after, {"timelineBefore": timeline, "lsnBefore": answer.lsn or None}
