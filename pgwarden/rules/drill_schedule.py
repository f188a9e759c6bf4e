"""What must be true of a RestoreDrillSchedule, and of the RestoreDrill in it."""

from __future__ import annotations

import re

import msgspec

from pgwarden.api import names
from pgwarden.api.judging import Case
from pgwarden.rules import drill, timing
from pgwarden.schedule.next_runs import SHOWN, next_runs

_SPEC = re.compile(r"\bspec\.(?!repository\b)")
#: Fields of a target that name a moment.
_MOMENTS = ("time", "lsn", "xid", "name")


def check(case: Case) -> None:
    timing.check_name(case)
    zone = timing.check_zone(case)
    schedule = timing.check_expression(case)
    timing.check_spread(case)
    _check_template(case)
    if case.get(bool, "suspend"):
        case.warn("the schedule is suspended: no drills are created until spec.suspend is false")
    elif schedule is not None and zone is not None and not case.standing:  # else nobody reads it
        runs = timing.runs_of(case, schedule, zone)
        timing.note_runs(case, runs, next_runs(runs, case.now, SHOWN), "drills")


def _check_template(case: Case) -> None:
    """By the rules of a RestoreDrill, which names the fields as if the template were its spec."""
    template = case.get(dict, "template") or {}
    metadata = {"name": "", "namespace": case.namespace}
    spec = template | {"repository": case.get(str, "repository")}
    inner = msgspec.structs.replace(
        case,
        obj={"apiVersion": names.API_VERSION, "kind": "RestoreDrill", "metadata": metadata, "spec": spec},
        old=None,
        faults=[],
        warnings=[],
        notes=[],
    )
    drill.check(inner)
    for fault in inner.faults:
        placed, said = _SPEC.sub("spec.template.", fault.field), _SPEC.sub("spec.template.", fault.message)
        case.faults.append(msgspec.structs.replace(fault, field=placed, message=said))
    for warning in inner.warnings:
        case.warn(_SPEC.sub("spec.template.", warning))
    case.notes += [_SPEC.sub("spec.template.", note) for note in inner.notes]
    _warn_of_passing(case)


def _warn_of_passing(case: Case) -> None:
    """What is right today, and wrong once retention has expired it."""
    target = case.get(dict, "template", "target") or {}
    found = [f"target.{field}" for field in _MOMENTS if target.get(field)]
    found += ["set"] if case.get(str, "template", "set") not in {None, "", "latest"} else []
    for field in found:
        case.warn(
            f"spec.template.{field} is the same for every drill: once retention has expired it, each fails; "
            "leave it out to drill what is newest"
        )
