"""A Restore that undoes another one: what it may not be combined with, and whether there is something to undo."""

from __future__ import annotations

from pgwarden.api.faults import Waits
from pgwarden.api.judging import Case
from pgwarden.api.near import near
from pgwarden.api.objects import Object
from pgwarden.api.reading import get

#: Fields of the spec that follow from the Restore that is undone.
EXCLUDED = ("target", "set", "targetTimeline", "volumeClaim")


def check(case: Case) -> None:
    name = case.get(str, "undo")
    if not name:
        return
    spec = get(case.obj, dict, "spec") or {}
    given = [field for field in EXCLUDED if spec.get(field)]
    if given:
        message = (
            f"cannot be combined with {' and '.join(given)}: the Restore that is undone says where to go; omit one"
        )
        case.refuse("spec.undo", name[:80], message, "undo")
    if name == case.name:
        case.refuse("spec.undo", name[:80], "is this Restore itself; name an earlier one", "undo")
        return
    there = case.lookup.restores(case.namespace, case.get(str, "repository") or "")
    by_name = {get(one, str, "metadata", "name") or "": one for one in there}
    if name in by_name:
        why = nothing_to_undo(by_name[name])
        if why:
            case.refuse("spec.undo", name[:80], why, "undo", Waits.NOTHING_TO_UNDO)
        return
    meant = near(name, sorted(set(by_name) - {case.name}), 1)
    hint = f"; did you mean {meant[0]}?" if meant else ""
    text = f"there is no Restore {name[:63]} of Repository {case.get(str, 'repository')}{hint}"
    case.note(f"{text}: what it left in the backup sets is looked for before anything is done")


def nothing_to_undo(restore: Object) -> str:
    """Why *restore*, which is there, cannot be undone (yet); empty where it can."""
    if get(restore, str, "spec", "volumeClaim"):
        return f"filled claim {get(restore, str, 'spec', 'volumeClaim')} and changed nothing else; delete that claim"
    phase = get(restore, str, "status", "phase") or "Pending"
    if phase == "Failed":
        return "failed and was rolled back: there is nothing to undo"
    if phase != "Completed":
        return (
            f"is {phase}; wait until it is Completed, or delete it: before PostgreSQL has recovered, that rolls it back"
        )
    return ""


def timeline_before(restore: Object) -> int:
    """The timeline that PostgreSQL was on when *restore* stopped it; 0 where it tells none.

    Version 0.1 did not write it. A recovery begins the timeline after the newest, which is the one that served.
    """
    return get(restore, int, "status", "timelineBefore") or (get(restore, int, "status", "timeline") or 1) - 1
