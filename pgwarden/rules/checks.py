"""What pgBackRest checks of a backup, and how many processes one takes: the Repository says it, not who backs up. Pure.

A set whose WAL or pages were not looked at may be one that nobody can restore, and it looks like any other. So a Backup
or BackupSchedule switches no check off that is on for its Repository, unless spec.allowDisabledChecks there is true.
"""

from __future__ import annotations

from collections.abc import Iterator

from pgwarden.api.faults import Waits
from pgwarden.api.judging import Case
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.pgbackrest.option_table import Command
from pgwarden.pgbackrest.user_options import parse_options
from pgwarden.rules import repository_field, retention, went_before
from pgwarden.storages import NAMES

#: The option → whether pgBackRest has it on where nobody says.
CHECKS = {
    "archive-check": "y",
    "archive-copy": "n",
    "archive-mode-check": "y",
    "checksum-page": "y",
    "page-header-check": "y",
}
PROCESSES = "process-max"
#: More than a pod's CPUs are of no use, and each takes memory.
MOST_PROCESSES = 32


def check_backups(case: Case, repository: Object) -> None:
    """Of a BackupSchedule or a Backup."""
    if "assumed" in repository or went_before.goes_on(case):
        return
    name = get(repository, str, "metadata", "name")
    refuses = not went_before.unchanged(case, _checks)
    for argument in disabled(repository, case.obj):
        field = repository_field.where(repository, "allowDisabledChecks")
        message = (
            f"switches off a check that Repository {name} makes of every backup; remove it, or set {field} to true"
        )
        if refuses:
            case.refuse("spec.options", argument, message, "checks", Waits.CHECKS_REQUIRED)
        else:
            case.warn(f"{argument}: {message}")


def check_processes(case: Case, command: Command, said: str) -> None:
    """*said* is the value of process-max. What has more of them already keeps them."""
    if case.standing or not said.isdigit() or int(said) <= MOST_PROCESSES or went_before.goes_on(case):
        return
    if case.old is not None and _settings(case.old, command).get(PROCESSES) == said:
        return
    message = f"must be at most {MOST_PROCESSES}: more processes take memory and no more CPU than the pod has"
    case.refuse("spec.options", f"--{PROCESSES}={said}", message, "options")


def told(repository: Object, schedules: list[Object]) -> Iterator[str]:
    """What there is of it in a cluster: schedules that stood before the rule."""
    for schedule in retention.active(schedules):
        for argument in disabled(repository, schedule):
            name = get(schedule, str, "metadata", "name")
            yield f"BackupSchedule {name}: {argument} switches off a check of every backup that it makes; remove it"


def disabled(repository: Object, obj: Object) -> list[str]:
    """Arguments of *obj* that switch off what is on for the *repository*, where that does not allow it."""
    if get(repository, bool, "spec", "allowDisabledChecks"):
        return []
    own, whole = _settings(obj), _settings(repository, "repository")
    return [f"--no-{name}" for name, on in CHECKS.items() if own.get(name) == "n" and whole.get(name, on) == "y"]


def _checks(obj: Object) -> list[str | None]:
    """What its options say of each."""
    settings = _settings(obj)
    return [settings.get(name) for name in CHECKS]


def _settings(obj: Object, command: Command = "backup") -> dict[str, str]:
    return parse_options(get(obj, list, "spec", "options"), command=command, storages=NAMES)[0].settings
