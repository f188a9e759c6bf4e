"""What must be true of a BackupSchedule."""

from __future__ import annotations

from datetime import datetime

from pgwarden.api import cron
from pgwarden.api.options import parse_options
from pgwarden.api.rules.common import (
    Case,
    Object,
    check_options,
    check_storage,
    get,
    has_full_retention,
    repository_of,
    storages_of,
)
from pgwarden.api.zones import zone_of, zone_problem


def check(case: Case) -> None:
    if len(case.name) > 63:
        case.refuse("metadata.name", case.name[:80], "must have at most 63 characters: it becomes a label", "name")
    zone = _check_zone(case)
    _check_schedule(case, zone)
    repository = repository_of(case)
    check_storage(case, repository)
    options = check_options(case, "backup", storages_of(repository) if repository else None)
    if repository is None:
        return
    name = get(repository, str, "metadata", "name") or ""
    if not has_full_retention(repository, options):
        case.warn(
            f"backups of Repository {name} are kept forever: set spec.retention there, or --repo1-retention-full here"
        )
    if not _makes_full(case.obj) and not any(_makes_full(other) for other in _others(case, name)):
        case.warn(
            f"no BackupSchedule of Repository {name} makes full backups: after the first one every backup builds on "
            "it, and retention never removes any"
        )


def _others(case: Case, repository: str) -> list[Object]:
    """The other schedules: the cache may still hold this one as it was."""
    others = case.lookup.schedules(case.namespace, repository)
    return [other for other in others if get(other, str, "metadata", "name") != case.name]


def _makes_full(schedule: Object) -> bool:
    if get(schedule, bool, "spec", "suspend"):
        return False
    options, _ = parse_options(get(schedule, list, "spec", "options"), command="backup")
    return (options.type or get(schedule, str, "spec", "type")) == "full"


def _check_zone(case: Case) -> str | None:
    name = case.get(str, "timeZone")
    if name is None:
        return "UTC"
    problem = zone_problem(name)
    if problem:
        case.refuse("spec.timeZone", name[:100], problem, "timeZone")
        return None
    return name


def _check_schedule(case: Case, zone: str | None) -> None:
    expression = case.get(str, "schedule")
    if expression is None:  # the schema says so already
        return
    parsed = cron.parse(expression)
    if isinstance(parsed, list):
        case.faults += parsed
        return
    if zone is None:
        return
    if case.get(bool, "suspend"):
        case.warn("the schedule is suspended: no backup is made until spec.suspend is false")
        return
    runs = parsed.next_runs(case.now, zone)
    case.warn(f"next backups: {', '.join(_local(run, zone) for run in runs)} ({zone})")


def _local(run: datetime, zone: str) -> str:
    local = run.astimezone(zone_of(zone))
    seconds = ":%S" if local.second else ""
    return local.strftime(f"%a %Y-%m-%d %H:%M{seconds}")
