"""What must be true of a BackupSchedule."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from pgwarden.api import duration
from pgwarden.api.judging import Case
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, moment
from pgwarden.pgbackrest.user_options import parse_options
from pgwarden.rules import adoption, backup_sets, checks, pod_metadata, resources, retention, timing
from pgwarden.rules.common import check_options, check_storage, has_full_retention, repository_of
from pgwarden.schedule.next_runs import SHOWN, next_runs
from pgwarden.schedule.runs import Runs
from pgwarden.storages import NAMES

_LOOKED_AT = 8  # next runs, for the shortest time between two
_OTHERS = 100  # schedules of the same Repository that are looked at: this is for a warning only
_LOOKED_BACK = 3  # backups of the same kind, for the longest time that one took


def check(case: Case) -> None:
    timing.check_name(case)
    zone = timing.check_zone(case)
    schedule = timing.check_expression(case)
    pod_metadata.check(case)
    timing.check_spread(case)
    closed = timing.check_windows(case, zone or "UTC")
    repository = repository_of(case)
    check_storage(case, repository)
    options = check_options(case, "backup", repository)
    kind = options.type or case.get(str, "type") or "incr"
    suspended = case.get(bool, "suspend")
    if schedule is not None and zone is not None:
        if suspended:
            case.warn("the schedule is suspended: no backups are created until spec.suspend is false")
        elif not case.standing:  # nobody reads it
            _warn_of_runs(case, timing.runs_of(case, schedule, zone, closed), repository, kind)
    if repository is None:
        return
    if not case.faults:
        resources.warn_of_memory(case, repository, case.get(list, "options") or ())
    name = get(repository, str, "metadata", "name") or ""
    adoption.check_use(case, repository)
    retention.check_backups(case, repository)
    checks.check_backups(case, repository)
    if not has_full_retention(repository, options):
        case.warn(
            f"backups of Repository {name} are kept forever: set spec.retention there, or --repo1-retention-full here"
        )
    full = kind == "full" and not suspended
    if not full and not any(_makes_full(other) for other in _others(case, name)):
        case.warn(
            f"no BackupSchedule of Repository {name} makes full backups: every later backup builds on the first "
            "one, and retention never removes any"
        )


def _warn_of_runs(case: Case, runs: Runs, repository: Object | None, kind: str) -> None:
    """The next runs; and whether they fire before the backup of the run before is done: the controller skips those."""
    took = _longest(repository, kind)
    # Windows cost more, and what they put off is not as often as the expression has it.
    found = next_runs(runs, case.now, SHOWN if took is None or runs.closed else _LOOKED_AT)
    timing.note_runs(case, runs, found, "backups")
    if took is None or len(found.runs) < 2:
        return
    gaps = {later - run for run, later in pairwise(found.runs)}
    if min(gaps) < took:
        fires = "fires every" if len(gaps) == 1 else "fires twice within"
        case.warn(
            f"the schedule {fires} {duration.told(min(gaps))}, but {kind} backups of Repository "
            f"{get(repository, str, 'metadata', 'name')} take up to {duration.told(took)}: runs will overlap, "
            "and later ones will be skipped"
        )


def _longest(repository: Object | None, kind: str) -> timedelta | None:
    """How long the slowest of the last few backups of that kind took."""
    same = backup_sets.of(repository).latest(kind, _LOOKED_BACK)
    times = [(moment(entry.get("startTime")), moment(entry.get("stopTime"))) for entry in same]
    return max((stop - start for start, stop in times if start and stop), default=None)


def _others(case: Case, repository: str) -> list[Object]:
    """The other schedules: the cache may still hold this one as it was."""
    others = case.lookup.schedules(case.namespace, repository)
    return [other for other in others[: _OTHERS + 1] if get(other, str, "metadata", "name") != case.name]


def _makes_full(schedule: Object) -> bool:
    if get(schedule, bool, "spec", "suspend"):
        return False
    options, _ = parse_options(get(schedule, list, "spec", "options"), command="backup", storages=NAMES)
    return (options.type or get(schedule, str, "spec", "type")) == "full"
