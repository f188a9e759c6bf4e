"""What must be true of a RestoreDrill."""

from __future__ import annotations

from pgwarden.api.judging import Case
from pgwarden.api.reading import get
from pgwarden.rules import restore
from pgwarden.rules.common import check_storage, repository_of


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
    restore.check_point(case, repository)
    restore.check_size(case)
