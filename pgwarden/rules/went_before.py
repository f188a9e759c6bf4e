"""What goes on though a rule is against it now: to stop its backups would lose more than they may. Pure.

A BackupSchedule that is in the API server, and what it makes; a Backup that was taken up. A label alone proves nothing:
anybody may write it.
"""

from __future__ import annotations

from collections.abc import Callable

from pgwarden.api import names
from pgwarden.api.faults import Waits
from pgwarden.api.judging import Case
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects

#: What a schedule gives its Backups, and a rule judges.
_GIVEN = ("options", "storage")


def goes_on(case: Case) -> bool:
    if get(case.obj, str, "kind") == "BackupSchedule":
        return case.standing
    return _is_as_its_schedule(case) or (case.standing and _was_taken_up(case.obj))


def resumed(case: Case) -> bool:
    """A BackupSchedule that was suspended and is not any more: it is judged as a new one."""
    return case.old is not None and bool(get(case.old, bool, "spec", "suspend")) and not case.get(bool, "suspend")


def unchanged(case: Case, part: Callable[[Object], object]) -> bool:
    """Whether an update leaves *part* of the object as it was: what came before a rule can still be changed."""
    if case.old is None or resumed(case):
        return False
    same = get(case.old, str, "spec", "repository") == case.get(str, "repository")
    return same and part(case.old) == part(case.obj)


def _is_as_its_schedule(case: Case) -> bool:
    name = get(case.obj, str, "metadata", "labels", names.LABEL_SCHEDULE)
    if not name:
        return False
    there = case.lookup.schedules(case.namespace, case.get(str, "repository") or "")
    own = next((one for one in there if get(one, str, "metadata", "name") == name), None)
    return own is not None and all(_given(own, field) == _given(case.obj, field) for field in _GIVEN)


def _given(obj: Object, field: str) -> object:
    return (get(obj, dict, "spec") or {}).get(field) or None


def _was_taken_up(backup: Object) -> bool:
    """It waits for its turn, say; not for a rule that is against it."""
    reasons = {get(one, str, "reason") for one in objects(backup, "status", "conditions")}
    return bool(get(backup, str, "status", "phase")) and not reasons & {*Waits}
