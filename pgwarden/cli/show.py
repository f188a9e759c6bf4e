"""show KIND: all of that kind, those of one Repository, or a single one."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pgwarden.api.objects import Object
from pgwarden.api.quantity import size
from pgwarden.api.reading import condition, get, objects
from pgwarden.api.registry import BY_WORD
from pgwarden.cli import junit, missed_runs, output, show_cluster, show_drill, show_restore, wait, window
from pgwarden.cli.errors import OK, CliError, unknown
from pgwarden.cli.output import clock, moment
from pgwarden.cli.session import Session, connect, names_of
from pgwarden.cli.short_messages import described
from pgwarden.cli.terminal import Terminal
from pgwarden.rules import backup_sets
from pgwarden.rules.backup_sets import BackupSets


async def run(args: argparse.Namespace, terminal: Terminal) -> int:
    async with connect(args) as session:
        found = await _chosen(session, args.what, args.name)
        if getattr(args, "wait", False):
            return await wait.until_over(session, terminal, BY_WORD[args.what].plural, _one(args, found), args.timeout)
        if args.output == "junit":
            terminal.say(junit.of(found))
            return OK
        if args.output and args.output != "text":
            terminal.say(output.formatted(found[0] if _is_one(args, found) else output.listed(found), args.output))
            return OK
        repositories = await session.all("repositories") if args.what == "backup" else []
        missing = not (found or repositories) and await session.is_namespace_missing()
    lines, kind = _RENDER[args.what](found, repositories, args, terminal), BY_WORD[args.what].name
    terminal.say(
        "\n".join(lines)
        if lines
        else f"namespace {session.namespace} {'does not exist' if missing else 'has no ' + kind}"
    )
    return OK


def _is_one(args: argparse.Namespace, found: list[Object]) -> bool:
    return len(found) == 1 and found[0]["metadata"]["name"] == args.name


def _one(args: argparse.Namespace, found: list[Object]) -> Object:
    """What --wait watches: the one that was named, else the newest of the Repository that is not over."""
    alive = [obj for obj in found if (obj.get("status") or {}).get("phase") not in wait.ends(obj)]
    chosen = found if _is_one(args, found) else alive
    if not chosen:
        raise CliError(f"no {args.what} is under way")
    return max(chosen, key=lambda obj: str(obj["metadata"].get("creationTimestamp", "")))


async def _chosen(session: Session, what: str, name: str) -> list[Object]:
    there = await session.all(BY_WORD[what].plural)
    if not name:
        return there
    exactly = [obj for obj in there if obj["metadata"]["name"] == name]
    if what in {"repository", "cluster"}:
        if not exactly:
            raise unknown(BY_WORD[what].name, name, session.namespace, names_of(there))
        return exactly
    of_repository = [obj for obj in there if get(obj, str, "spec", "repository") == name]
    if of_repository:
        return of_repository
    repositories = names_of(await session.all("repositories"))
    if exactly or name in repositories:
        return exactly
    raise unknown(f"Repository or {what}", name, session.namespace, [*repositories, *names_of(there)])


def _backups(
    found: list[Object], repositories: list[Object], args: argparse.Namespace, terminal: Terminal
) -> list[str]:
    """The picture of each Repository, its backup sets, and the Backups that made no set (yet)."""
    by_name = args.name and not any(repository["metadata"]["name"] == args.name for repository in repositories)
    if by_name:
        return _backup_objects(found)
    lines: list[str] = []
    for repository in repositories:
        name = repository["metadata"]["name"]
        if args.name in {"", name}:
            own = [obj for obj in found if get(obj, str, "spec", "repository") == name]
            lines += ["", *of_repository(repository, own, terminal, ascii_only=args.ascii)]
    return lines[1:]


def of_repository(
    repository: Object, backups: list[Object], terminal: Terminal, *, ascii_only: bool, now: datetime | None = None
) -> list[str]:
    lines = [f"Repository {repository['metadata']['name']}"]
    glyphs = window.UNICODE if terminal.unicode and not ascii_only else window.ASCII
    for each in windows(repository):
        lines += ["", *window.picture(each, now or datetime.now(UTC), terminal.width, glyphs)]
    if len(lines) == 1:
        lines += ["", "nothing can be recovered: there is no finished backup"]
    sets = backup_sets.of(repository)
    if sets.newest_first:
        lines += ["", *([] if sets.whole else [f"{sets}:"]), *_sets(sets)]
    rest = [obj for obj in backups if not _shown(obj, sets)]
    if rest:
        lines += ["", *_backup_objects(rest)]
    return lines


def _shown(backup: Object, sets: BackupSets) -> bool:
    """Whether its set is listed; or is there, and older than those that are."""
    if any(one.get("backup") == backup["metadata"]["name"] for one in sets.newest_first):
        return True
    completed = get(backup, str, "status", "phase") == "Completed" and condition(backup, "Available") == "True"
    return completed and not sets.of_storage(get(backup, str, "status", "storage")).whole


def windows(repository: Object) -> list[window.Window]:
    found = []
    parted = {
        str(entry.get("storage")) for entry in objects(repository, "status", "recoveryWindow") if entry.get("missing")
    }
    archiving = {"True": True, "False": False}.get(condition(repository, "Archiving"))
    for entry in objects(repository, "status", "recoveryWindow"):
        earliest, latest = moment(entry.get("earliest")), moment(entry.get("latest"))
        storage = str(entry.get("storage"))
        if earliest is None:
            continue
        sets = backup_sets.of(repository).of_storage(storage)
        marks = [window.Mark(stop, str(one.get("type"))) for one in sets.told if (stop := moment(one.get("stopTime")))]
        counts = tuple(sets.count(kind) for kind in backup_sets.TYPES)
        cut = None if sets.whole else window.Cut(*counts)
        missing = str(entry.get("missing") or "")
        if missing:  # what came after the gap belongs to the window after it
            marks = [mark for mark in marks if latest is None or mark.stop <= latest]
        marks = [mark for mark in marks if mark.stop >= earliest] if storage in parted else marks
        found.append(window.Window(storage, earliest, latest or earliest, tuple(marks), archiving, cut, missing))
    return found


def _sets(sets: BackupSets) -> list[str]:
    rows = [
        (
            entry.get("label"),
            entry.get("type"),
            entry.get("storage"),
            clock(moment(entry.get("stopTime"))),
            size(entry.get("databaseSize")),
            size(entry.get("backupSize")),
            entry.get("backup"),
            "damaged pages" if entry.get("error") else "",
        )
        for entry in sets.newest_first
    ]
    return output.table(("SET", "TYPE", "STORAGE", "ENDED", "DATABASE", "ADDED", "BACKUP", "FAULT"), rows)


def _backup_objects(backups: list[Object]) -> list[str]:
    rows = []
    for obj in backups:
        status = obj.get("status") or {}
        rows.append(
            (
                obj["metadata"]["name"],
                status.get("type") or get(obj, str, "spec", "type"),
                status.get("phase") or "Pending",
                clock(moment(status.get("startTime"))),
                status.get("label"),
            )
        )
    return [*output.table(("BACKUP", "TYPE", "PHASE", "STARTED", "SET"), rows), *_messages(backups)]


def _messages(found: list[Object]) -> list[str]:
    """A line each below the table: a sentence in a column would make every row too wide."""
    said = [(obj["metadata"]["name"], described(obj, get(obj, str, "status", "message"))) for obj in found]
    return [f"  {name}: {message}" for name, message in said if message]


def _schedules(found: list[Object], _: list[Object], args: argparse.Namespace, __: Terminal) -> list[str]:
    """Of Backups; those of drills have no type."""
    rows, missed = list[tuple[Any, ...]](), list[str]()
    typed = args.what == "schedule"
    for obj in found:
        status, spec = obj.get("status") or {}, obj.get("spec") or {}
        upcoming = [moment(time) for time in status.get("nextScheduleTimes") or []]
        name = obj["metadata"]["name"]
        rows.append(
            (
                name,
                spec.get("repository"),
                f'"{spec.get("schedule")}" {spec.get("timeZone", "UTC")}',
                *([spec.get("type")] if typed else []),
                "suspended" if spec.get("suspend") else status.get("phase") or "Pending",
                clock(moment(status.get("lastScheduleTime"))),
                clock(moment(status.get("lastSuccessfulTime"))),
                clock(upcoming[0]) if upcoming else "",
            )
        )
        if status.get("phase") in {"Pending", "Degraded", "Failed"} and status.get("message"):
            missed += [f"  {name}: {described(obj, status['message'])}"]
        if args.name:
            missed += [f"  {name} then: {', '.join(clock(time) for time in upcoming[1:])}"] if upcoming[1:] else []
        missed += [
            f"  {name} missed {clock(moment(one.get('time')))}: {missed_runs.in_words(one.get('reason'))}"
            for one in objects(obj, "status", "missed")
        ]
    kind = ("TYPE",) if typed else ()
    heads = ("SCHEDULE", "REPOSITORY", "WHEN", *kind, "PHASE", "LAST RUN", "LAST SUCCESS", "NEXT")
    return [*output.table(heads, rows), *missed] if rows else []


def _repositories(found: list[Object], _: list[Object], __: argparse.Namespace, ___: Terminal) -> list[str]:
    lines: list[str] = []
    for obj in found:
        status = obj.get("status") or {}
        lines += ["", f"Repository {obj['metadata']['name']}: {status.get('phase') or 'Pending'}"]
        for storage in objects(obj, "status", "storages"):
            lines.append(f"  storage {storage.get('name')} (repo{storage.get('repo')}): {storage.get('location')}")
        for each in windows(obj):
            lines.append(f"  recoverable from {clock(each.earliest)} to {clock(each.latest)} ({each.storage})")
        for pod in objects(obj, "status", "pods"):
            lines.append(f"  pod {pod.get('name')}: {described(obj, pod.get('message')) or pod.get('role')}")
        for one in objects(obj, "status", "conditions"):
            lines.append(f"  {one.get('type')} {one.get('status')}: {described(obj, one.get('message'))}")
    return lines[1:]


def _restores(found: list[Object], _: list[Object], args: argparse.Namespace, __: Terminal) -> list[str]:
    return show_restore.lines(found, datetime.now(UTC), whole=_is_one(args, found))


_RENDER: dict[str, Callable[[list[Object], list[Object], argparse.Namespace, Terminal], list[str]]] = {
    "backup": _backups,
    "schedule": _schedules,
    "repository": _repositories,
    "restore": _restores,
    "drill": lambda found, _, args, __: show_drill.lines(found, whole=bool(args.name)),
    "drillschedule": _schedules,
    "cluster": lambda found, _, args, __: show_cluster.lines(found, datetime.now(UTC), whole=bool(args.name)),
}
