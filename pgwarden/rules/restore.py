"""What must be true of a Restore."""

from __future__ import annotations

from pgwarden.api import names
from pgwarden.api.faults import Waits
from pgwarden.api.judging import Case
from pgwarden.api.objects import Object
from pgwarden.api.quantity import parse_quantity
from pgwarden.api.reading import get
from pgwarden.rules import backup_sets, repo_target_time, restore_target, restore_undo
from pgwarden.rules.common import check_options, check_storage, repository_of

#: The one field of a spec that may be changed.
MUTABLE = "recoveryTimeoutSeconds"
_NAMED = 3  # of the newest sets, in a message


def check(case: Case) -> None:
    if case.old is not None:
        _check_change(case, case.old)
        return
    if len(case.name) > 63:
        case.refuse("metadata.name", case.name[:80], "must have at most 63 characters: it becomes a label", "name")
    repository = repository_of(case)
    check_storage(case, repository)
    options = check_options(case, "restore", repository)
    if options.settings.get("archive-mode") == "off":
        case.warn(
            "--archive-mode=off: what is restored archives nothing until archive_mode is on again and PostgreSQL has "
            "restarted; until then nothing can be restored"
        )
    repo_target_time.check_place(case)
    check_point(case, repository)
    restore_undo.check(case)
    _check_claim(case)
    check_size(case)
    if repository is not None:
        _warn_queue(case)


def check_point(case: Case, repository: Object | None) -> None:
    """What is restored, as far as the Repository's status can tell: it tells nothing of an earlier time's storage."""
    repo_target_time.check(case, repository)
    if repo_target_time.is_asked(case):
        restore_target.check(case, None)
        return
    restore_target.check(case, repository)
    if repository is not None:
        check_set(case, repository)


def _check_change(case: Case, old: Object) -> None:
    """How long a recovery may stand still is seen only while it runs; all else is another Restore."""
    before, now = get(old, dict, "spec") or {}, get(case.obj, dict, "spec") or {}
    if {**before, MUTABLE: None} != {**now, MUTABLE: None}:
        message = f"a Restore cannot be changed, except {MUTABLE}; create another Restore"
        case.refuse("spec", None, message, "immutable")


def _check_claim(case: Case) -> None:
    claim, repository = case.get(str, "volumeClaim"), case.get(str, "repository") or ""
    if claim and repository and claim == names.repo_claim(repository):
        message = "is the claim that holds the backups; name a new claim"
        case.refuse("spec.volumeClaim", claim, message, "volumeClaim")
    image = case.get(str, "image")
    if image and not claim:
        message = "is for a restore into a claim of its own (spec.volumeClaim); in place the workload's image recovers"
        case.refuse("spec.image", image[:100], message, "image")


def check_size(case: Case) -> None:
    size = case.get(str, "newVolume", "size")
    if size is None:
        return
    amount = parse_quantity(size)
    if amount is None:
        case.refuse("spec.newVolume.size", size[:50], "must be a quantity such as 10Gi or 500Mi", "size")
    elif amount < 1024 * 1024:
        message = "is too small for PostgreSQL; use 1Gi or more"
        case.refuse("spec.newVolume.size", size[:50], message, "size")


def check_set(case: Case, repository: Object) -> None:
    wanted = case.get(str, "set")
    if not wanted or wanted == "latest":
        return
    name, storage = get(repository, str, "metadata", "name"), case.get(str, "storage")
    sets = backup_sets.of(repository).of_storage(storage)
    where, label = f" on storage {storage}" if storage else "", wanted[:64]
    if sets.labelled(wanted):
        return
    if not sets.known or not backup_sets.of(repository).some:
        case.note(f"the backups of Repository {name}{where} are not known yet: set {label} is checked again later")
    elif not sets.whole:
        case.note(f"set {label} is not among {sets} listed by Repository {name}{where}: it is checked again later")
    else:
        newest = ", ".join(dict.fromkeys(str(one.get("label")) for one in sets.newest_first[:_NAMED])) or "none"
        message = f"Repository {name} has no such backup{where}; the newest are: {newest}"
        case.refuse("spec.set", label, message, "set", Waits.NO_SUCH_SET)


def _warn_queue(case: Case) -> None:
    """One at a time: a second one waits for its turn."""
    busy = [
        get(other, str, "metadata", "name") or ""
        for other in case.lookup.restores(case.namespace, case.get(str, "repository") or "")
        if get(other, str, "status", "phase") not in {"Completed", "Failed"}
    ]
    waiting = sorted(name for name in busy if name != case.name)
    if waiting:
        case.note(f"waits for Restore {', '.join(waiting[:3])} of the same Repository")
