"""Everything that must be true of a pgwarden object, in one pure function: for webhook, controller and lint alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from pgwarden.api import records, registry
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.faults import Fault, limited
from pgwarden.api.judging import Case, Lookup, Verdict
from pgwarden.api.reading import get
from pgwarden.api.schema import Seen, look
from pgwarden.rules import backup, cluster, drill, drill_schedule, repository, restore, schedule

__all__ = ["Lookup", "OperatorDefaults", "Verdict", "validate"]

_RULES: dict[str, Callable[[Case], None]] = {
    "Repository": repository.check,
    "Backup": backup.check,
    "BackupSchedule": schedule.check,
    "Restore": restore.check,
    "RestoreDrill": drill.check,
    "RestoreDrillSchedule": drill_schedule.check,
    "PostgresCluster": cluster.check,
}
registry.attached("rules", _RULES)


def validate(
    obj: Any, *, old: Any, lookup: Lookup, now: datetime, defaults: OperatorDefaults, standing: bool = False
) -> Verdict:
    """The faults and warnings of *obj* at once, the first 50 at most. *old* is the object before an update, else None.

    *obj* may be any JSON, and of any size: one that is too large is one fault, and so is each field of it that is.
    An update that leaves the spec as it was is admitted: finalizers and labels must be removable whatever became of
    the Repository meanwhile; so is one of an object that is being deleted. *standing* is for an object that the API
    server has: then its status says what it was, where no *old* does. For a Backup or Restore that comes back with its
    mark the schema is enough.
    """
    if _nothing_new(obj, old):
        return Verdict()
    seen = look(obj)
    kind = get(obj, str, "kind")
    if kind not in _RULES or seen.too_large:
        return Verdict(seen.faults)
    before = old if isinstance(old, dict) else None
    if before is None and not standing and registry.BY_NAME[kind].is_operation:
        mark = records.brought_back(obj)
        if mark is not None and mark.began:
            # It is not run again, so neither its Repository nor anything else needs to exist.
            return Verdict(limited(seen.faults, seen.more), [records.warning(kind)])
    case = Case(obj=seen.obj, old=before, lookup=lookup, now=now, defaults=defaults, standing=standing)
    _RULES[kind](case)
    return Verdict(limited(_merged(seen, case.faults), seen.more), case.warnings, case.notes)


def _nothing_new(obj: Any, old: Any) -> bool:
    if not isinstance(obj, dict) or not isinstance(old, dict):
        return False
    deleted = get(old, str, "metadata", "deletionTimestamp") is not None
    return deleted or ("spec" in old and obj.get("spec") == old.get("spec"))


def _merged(seen: Seen, rules: list[Fault]) -> list[Fault]:
    """A rule's fault replaces the schema's on the same field, except where the value was too large for rules.

    A field that the schema refuses too is the object's own fault: nothing is waited for.
    """
    if seen.unread:
        rules = [fault for fault in rules if fault.field not in seen.unread]
    spoken, own = {fault.field for fault in rules}, {fault.field for fault in seen.faults}
    told = [msgspec.structs.replace(fault, waits=None) if fault.field in own else fault for fault in rules]
    return [fault for fault in seen.faults if fault.field not in spoken] + told
