"""What must be true of a RestoreDrill."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from pgwarden.api.judging import Case
from pgwarden.api.reading import get
from pgwarden.rules import resources, restore
from pgwarden.rules.common import check_storage, repository_of
from pgwarden.rules.restore_target import KINDS

_LEAST = {"memory": "256Mi"}
_POSTGRES = "PostgreSQL has 128 MB of shared buffers"
#: What pgBackRest restores, whichever databases are asked for.
ALWAYS = ("postgres", "template0", "template1")


def check(case: Case) -> None:
    if case.old is not None:
        if get(case.old, dict, "spec") != get(case.obj, dict, "spec"):
            message = "a RestoreDrill cannot be changed; create another RestoreDrill"
            case.refuse("spec", None, message, "immutable")
        return
    if len(case.name) > 63:
        case.refuse("metadata.name", case.name[:80], "must have at most 63 characters: it becomes a label", "name")
    repository = repository_of(case)
    check_storage(case, repository)
    if (case.get(dict, "target") or {}).get("random"):
        _check_random(case)
        if repository is not None:
            restore.check_set(case, repository)
    else:
        if case.get(int, "seed") is not None:
            message = "is for a random target; add spec.target.random: true, or remove it"
            case.refuse("spec.seed", case.get(int, "seed"), message, "seed")
        restore.check_point(case, repository)
    restore.check_size(case)
    resources.check(case, ("resources",), _LEAST, _POSTGRES)
    _check_checks(case)


def _check_random(case: Case) -> None:
    target = case.get(dict, "target") or {}
    given = [kind for kind in KINDS if target.get(kind) is not None and target.get(kind) is not False]
    if given:
        message = f"sets {' and '.join([*given, 'random'])}; set exactly one of {', '.join([*KINDS, 'random'])}"
        case.refuse("spec.target", None, message, "target")
    timeline = case.get(str, "targetTimeline")
    if timeline:
        message = "cannot be combined with target random, which draws a moment of the timeline of now; omit it"
        case.refuse("spec.targetTimeline", timeline, message, "timeline")


def _check_checks(case: Case) -> None:
    restored: Sequence[Any] = case.get(list, "databases") or ()
    for number, one in enumerate(case.get(list, "checks") or ()):
        field, database = f"spec.checks[{number}]", get(one, str, "database")
        if restored and database and database not in (*restored, *ALWAYS):
            message = "is not restored: add it to spec.databases, or name one of those"
            case.refuse(f"{field}.database", database[:63], message, "databases")
        bounds = {name: one[name] for name in ("min", "max") if isinstance(one, dict) and one.get(name) is not None}
        if get(one, str, "expect") and bounds:
            message = "cannot be combined with min and max; remove it, or those"
            case.refuse(f"{field}.expect", str(one["expect"])[:80], message, "checks")
        numbers = {name: _number(value) for name, value in bounds.items()}
        for name, found in numbers.items():
            if found is None:
                message = "must be a number such as 100 or 0.5"
                case.refuse(f"{field}.{name}", str(bounds[name])[:80], message, "checks")
        least, most = numbers.get("min"), numbers.get("max")
        if least is not None and most is not None and least > most:
            message = f"is more than max, which is {bounds['max']}; exchange them"
            case.refuse(f"{field}.min", bounds["min"], message, "checks")


def _number(value: Any) -> Decimal | None:
    """As PostgreSQL reads it, without what no limit is: NaN, Infinity."""
    text = str(value)
    if isinstance(value, bool) or not isinstance(value, int | str) or not set(text) <= set("0123456789.+-eE"):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
