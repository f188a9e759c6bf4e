"""How long backups are kept, where several say it: the Repository, BackupSchedules and Backups.

After a backup pgBackRest expires by the numbers of that very backup, whoever made the older ones. So the smallest
number wins, at the next backup that has it, and a larger one holds only for a time. A smaller one than the Repository's
ends what the Repository promises, and a Backup's that is smaller than a BackupSchedule's what that one keeps. Both take
spec.retention.allowShorter of the Repository. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pgwarden.api import names
from pgwarden.api.faults import Waits
from pgwarden.api.judging import Case
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.pgbackrest.option_table import Command
from pgwarden.pgbackrest.user_options import ParsedOptions, parse_options
from pgwarden.rules import repository_field, went_before
from pgwarden.storages import names_of as storages_of

MOST = 100  # schedules of one Repository that are looked at
_LARGE = 10**9  # nobody means it, and Python does not print all that JSON may have
_KINDS = ("full", "diff", "archive", "history")
_UNITS = {
    ("full", "count"): "full backups",
    ("full", "time"): "days",
    ("diff", ""): "diff backups",
    ("history", ""): "days of history",
}


@dataclass(frozen=True)
class Bound:
    """One number. *count* None: without an end. Two of another *unit* cannot be compared."""

    kind: str
    count: int | None
    unit: str = ""

    @property
    def words(self) -> str:
        what = _UNITS.get((self.kind, self.unit), f"{self.unit} backups with their WAL")
        return f"{self.count} {what[:-1] if self.count == 1 and what.endswith('s') else what}"

    def outlasts(self, other: Bound) -> bool:
        """Whether a backup under *other* may expire what this one keeps."""
        if self.count is None or other.count is None:
            return other.count is not None
        return self.unit != other.unit or self.count > other.count


@dataclass(frozen=True)
class Retention:
    """What a backup into one storage expires by. *given*: its own options, by kind, as pgBackRest's arguments."""

    number: int
    bounds: Mapping[str, Bound]
    given: Mapping[str, str]

    def undone_by(self, other: Retention) -> Iterator[tuple[str, Bound, Bound]]:
        """Of the numbers given here each that a backup with those of *other* would undo: its argument, and both."""
        if self.number == other.number:
            for kind, argument in self.given.items():
                if self.bounds[kind].outlasts(other.bounds[kind]):
                    yield argument, self.bounds[kind], other.bounds[kind]


def check_backups(case: Case, repository: Object) -> None:
    """Of a BackupSchedule, or of a Backup that no schedule has made: that one was judged with the schedule.

    A schedule that is in the API server already goes on: see went_before.
    """
    is_schedule = get(case.obj, str, "kind") == "BackupSchedule"
    unknown = "assumed" in repository or not storages_of(repository)
    if unknown or (is_schedule and case.standing):
        return
    mine = of_backups(repository, case.obj)
    whole = of_repository(repository, mine.number)
    refuses = not went_before.unchanged(case, lambda obj: of_backups(repository, obj))
    if get(case.obj, str, "metadata", "labels", names.LABEL_SCHEDULE):
        if not went_before.goes_on(case):  # anybody may write that label
            _check_shorter(case, repository, mine, whole, refuses=True)
            _check_beside_schedules(case, repository, mine, refuses=True)
        return
    _warn_of_other_storages(case, repository, mine.number)
    if not mine.given:
        return
    for argument, own, other in mine.undone_by(whole):
        text = f"{_beside(own, other)} that {_named(repository)} keeps: {_undoes(is_schedule)}"
        _say(case, argument, f"{text}; {_way_out(repository, own, argument)}", refuses=refuses)
    _check_shorter(case, repository, mine, whole, refuses=refuses and not went_before.goes_on(case))
    _check_beside_schedules(case, repository, mine, refuses=refuses)


def check_repository(case: Case) -> None:
    """No schedule's own number is undone by a change, or by a new Repository for schedules that are there."""
    if case.standing or not storages_of(case.obj):
        return
    for schedule in case.lookup.schedules(case.namespace, case.name)[:MOST] if case.name else ():
        if get(schedule, bool, "spec", "suspend"):
            continue
        before = set(_conflicts(case.old, schedule)) if case.old is not None else set()
        for argument, own, other in _conflicts(case.obj, schedule):
            if (argument, own, other) in before:
                continue
            stated = get(case.obj, int, "spec", "retention", other.kind) is not None
            named = f"BackupSchedule {get(schedule, str, 'metadata', 'name')}"
            message = (
                f"{_beneath(other, own)} that {named} keeps ({argument}): any other backup would expire them; "
                f"keep {own.words} here too, or change that schedule first"
            )
            field = f"spec.retention.{other.kind}" if stated else "spec.options"
            case.refuse(field, other.count, message, "retention", Waits.RETENTION_UNDONE)


def told(repository: Object, schedules: list[Object]) -> Iterator[str]:
    """What there is of it in a cluster: objects that stood before these rules, or came past the webhook."""
    makers = active(schedules)
    for schedule in makers:
        for text in (*undone(repository, schedule, makers), *shorter(repository, schedule)):
            yield f"BackupSchedule {get(schedule, str, 'metadata', 'name')}: {text}"


def active(schedules: Iterable[Object]) -> list[Object]:
    """Those that make backups."""
    return [one for one in schedules if not get(one, bool, "spec", "suspend")]


def undone(repository: Object, schedule: Object, others: Iterable[Object]) -> Iterator[str]:
    """Of the numbers of *schedule* each that other backups undo, and by whom. *others* are active."""
    mine = of_backups(repository, schedule)
    for argument, own, other in mine.undone_by(of_repository(repository, mine.number)):
        text = f"{_beside(own, other)} that {_named(repository)} keeps, so the next other backup undoes it"
        yield f"{argument} {text}; {_way_out(repository, own, argument)}"
    for other_schedule in others if mine.given else ():
        theirs = of_backups(repository, other_schedule)
        for argument, own, other in mine.undone_by(theirs) if theirs.given else ():
            named = f"BackupSchedule {get(other_schedule, str, 'metadata', 'name')}"
            yield f"{argument} {_beside(own, other)} of {named}, whose backups undo it"


def of_repository(repository: Object, number: int) -> Retention:
    """What a backup without options of its own expires by."""
    return Retention(number, _bounds(_settings(repository, number)), {})


def of_backups(repository: Object, obj: Object) -> Retention:
    """What the backups of a BackupSchedule, or a Backup, expire by."""
    there = storages_of(repository)
    storage = get(obj, str, "spec", "storage")
    number = there.index(storage) + 1 if storage in there else 1
    own = _parsed(obj, "backup", there).settings
    prefix = f"repo{number}-retention-"
    mine = {name.removeprefix(prefix): value for name, value in own.items() if name.startswith(prefix)}
    given: dict[str, str] = {}
    for kind in _KINDS:
        said = next((name for name in (kind, f"{kind}-type") if name in mine), "")
        if said:
            given[kind] = f"--{prefix}{said}={mine[said]}"
    return Retention(number, _bounds(_settings(repository, number) | mine), given)


def _conflicts(repository: Object, schedule: Object) -> list[tuple[str, Bound, Bound]]:
    mine = of_backups(repository, schedule)
    return list(mine.undone_by(of_repository(repository, mine.number)))


def shorter(repository: Object, obj: Object) -> Iterator[str]:
    """Of the numbers of a schedule each by which its backups end what the *repository* would keep, though that does
    not allow it.
    """
    mine = of_backups(repository, obj)
    if not _allows_shorter(repository):
        for argument, text in _lowering(repository, mine, of_repository(repository, mine.number)):
            yield f"{argument}: {text}; {_way_to_less(repository)}"


def _check_shorter(case: Case, repository: Object, mine: Retention, whole: Retention, *, refuses: bool) -> None:
    for argument, said in _lowering(repository, mine, whole):
        text = f"{said}: older ones expire"
        if refuses and not _allows_shorter(repository):
            message = f"{text}; {_way_to_less(repository)}"
            case.refuse("spec.options", argument, message, "retention", Waits.RETENTION_SHORTER)
        else:
            case.warn(f"{argument}: {text}; set the number in one place")


def _lowering(repository: Object, mine: Retention, whole: Retention) -> Iterator[tuple[str, str]]:
    """Each argument that does, and what is said of it."""
    for argument, own, other in _lowers(mine, whole):
        text = f"each backup with it leaves {own.words} in the storage, fewer than the {_kept(other)} of"
        yield argument, f"{text} {_named(repository)}"


def _lowers(mine: Retention, whole: Retention) -> Iterator[tuple[str, Bound, Bound]]:
    """Where all is comparable: what is not has been told already. A Repository without a number of its own leaves that
    to its backups; but WAL it keeps as long as the full backups that it counts.
    """
    for kind, argument in mine.given.items():
        own, other = mine.bounds[kind], whole.bounds[kind]
        if own.count is None:
            continue
        if other.count is None:
            ends = kind == "archive" and whole.bounds["full"].count is not None
        else:
            ends = own.unit == other.unit and own.count < other.count
        if ends:
            yield argument, own, other


def _kept(bound: Bound) -> str:
    return bound.words if bound.count is not None else "WAL of all its backups"


def _allows_shorter(repository: Object) -> bool:
    return get(repository, bool, "spec", "retention", "allowShorter") is True


def _way_to_less(repository: Object) -> str:
    return f"remove it, or set {repository_field.where(repository, 'retention.allowShorter')} to true"


def _check_beside_schedules(case: Case, repository: Object, mine: Retention, *, refuses: bool) -> None:
    """Beside schedules with numbers of their own: one of two that differ undoes the other."""
    is_schedule = get(case.obj, str, "kind") == "BackupSchedule"
    for schedule in _others(case, repository):
        named = f"BackupSchedule {get(schedule, str, 'metadata', 'name')}"
        for argument, own, other in _differences(mine, of_backups(repository, schedule)):
            if is_schedule:
                _say(case, argument, _of_two_schedules(own, other, named), refuses=refuses)
            else:
                _check_backup_beside(case, repository, argument, (own, other), named, refuses=refuses)


def _differences(mine: Retention, theirs: Retention) -> Iterator[tuple[str, Bound, Bound]]:
    """Each number given here that is another one there, and both. Who counts full backups keeps their WAL, too."""
    if mine.number != theirs.number:
        return
    for kind, argument in mine.given.items():
        own, other = mine.bounds[kind], theirs.bounds[kind]
        given = kind in theirs.given or (kind == "archive" and "full" in theirs.given and other.count is not None)
        if given and own != other:
            yield argument, own, other


def _of_two_schedules(own: Bound, other: Bound, named: str) -> str:
    what = _beside(own, other) if own.outlasts(other) else _beneath(own, other)
    whose = "its backups expire what these keep" if own.outlasts(other) else "these backups expire what its keep"
    return f"{what} of {named}: {whose}; use one number in both, best the Repository's alone"


def _check_backup_beside(
    case: Case, repository: Object, argument: str, bounds: tuple[Bound, Bound], named: str, *, refuses: bool
) -> None:
    """A Backup by hand does not end what a schedule keeps, unless the Repository allows that."""
    own, other = bounds
    if not other.outlasts(own):
        case.warn(f"{argument}: {_beside(own, other)} of {named}, whose next backup expires what this one keeps")
        return
    text = f"{_beneath(own, other)} of {named}: this backup expires what that one keeps"
    if refuses and not _allows_shorter(repository) and not went_before.goes_on(case):
        message = f"{text}; {_way_to_less(repository)}"
        case.refuse("spec.options", argument, message, "retention", Waits.RETENTION_SHORTER)
    else:
        case.warn(f"{argument}: {text}")


def _say(case: Case, argument: str, message: str, *, refuses: bool) -> None:
    if refuses:
        case.refuse("spec.options", argument, message, "retention", Waits.RETENTION_UNDONE)
    else:
        case.warn(f"{argument}: {message}")


def _beside(own: Bound, other: Bound) -> str:
    return f"{'is more than' if own.unit == other.unit else 'is not comparable with'} the {other.words}"


def _beneath(own: Bound, other: Bound) -> str:
    return f"{'is less than' if own.unit == other.unit else 'is not comparable with'} the {other.words}"


def _undoes(is_schedule: bool) -> str:
    return f"the next backup {'without it' if is_schedule else 'after this one'} expires what it keeps"


def _way_out(repository: Object, own: Bound, argument: str) -> str:
    if own.kind in {"full", "diff"} and not argument.partition("=")[0].endswith("-type"):
        field = repository_field.where(repository, f"retention.{own.kind}")
        return f"set {field} to {own.count}, or remove it here"
    return f"put it into {repository_field.where(repository, 'options')}, or remove it here"


def _named(repository: Object) -> str:
    return f"Repository {get(repository, str, 'metadata', 'name')}"


def _others(case: Case, repository: Object) -> list[Object]:
    """The other schedules that make backups. The cache may still hold this one as it was."""
    name = get(repository, str, "metadata", "name") or ""
    listed = case.lookup.schedules(case.namespace, name)[: MOST + 1]
    own = case.name if get(case.obj, str, "kind") == "BackupSchedule" else None
    return [one for one in active(listed) if get(one, str, "metadata", "name") != own]


def _warn_of_other_storages(case: Case, repository: Object, number: int) -> None:
    there = storages_of(repository)
    for name in _parsed(case.obj, "backup", there).settings:
        numbered, retention, _ = name.partition("-retention-")
        if retention and numbered != f"repo{number}":
            storage = there[number - 1]
            case.warn(f"--{name} has no effect: the backup goes to storage {storage}, and only that one is expired")


def _settings(repository: Object, number: int) -> dict[str, str]:
    """Of the Repository itself, by what follows `repoN-retention-`."""
    prefix, found = f"repo{number}-retention-", dict[str, str]()
    for kind in ("full", "diff"):
        count = get(repository, int, "spec", "retention", kind)
        if count is not None and 0 < count < _LARGE:
            found[kind] = str(count)
    if "full" in found:
        found["full-type"] = get(repository, str, "spec", "retention", "fullType") or "count"
    own = _parsed(repository, "repository", storages_of(repository)).settings
    return found | {name.removeprefix(prefix): value for name, value in own.items() if name.startswith(prefix)}


def _parsed(obj: Object, command: Command, storages: tuple[str, ...]) -> ParsedOptions:
    return parse_options(get(obj, list, "spec", "options"), command=command, storages=storages)[0]


def _bounds(settings: Mapping[str, str]) -> dict[str, Bound]:
    full = Bound("full", _number(settings.get("full")), settings.get("full-type", "count"))
    archive = Bound("archive", _number(settings.get("archive")), settings.get("archive-type", "full"))
    if archive.count is None and archive.unit == "full" and full.unit == "count":
        archive = Bound("archive", full.count, "full")  # pgBackRest's default
    rest = {kind: Bound(kind, _number(settings.get(kind))) for kind in ("diff", "history")}
    return {"full": full, "archive": archive, **rest}


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
