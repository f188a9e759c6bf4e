"""report: what restore drills have proven of each Repository in a month, as Markdown for auditors.

What a Repository has kept of a drill, only the controller has written, when it had ended it itself. Of what is no
longer among the ten that it keeps, the RestoreDrill tells while it is there; that is marked.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pgwarden import __version__
from pgwarden.api import duration
from pgwarden.api.objects import Object
from pgwarden.api.reading import condition, found_condition, get, objects
from pgwarden.cli.errors import OK, UsageError, unknown
from pgwarden.cli.output import clock, count, span
from pgwarden.cli.session import connect, names_of
from pgwarden.cli.terminal import Terminal
from pgwarden.contract import last_drills

_MONTH = re.compile(r"(\d{4})-(\d{2})")
_MONTHS = ("January", "February", "March", "April", "May", "June",
           "July", "August", "September", "October", "November", "December")  # fmt: skip
_PROVEN = {"True": "yes", "False": "**no**", "Unknown": "no drill yet"}


@dataclass(frozen=True)
class Month:
    year: int
    month: int

    def has(self, one: Object) -> bool:
        ended = last_drills.ended(one)
        return ended is not None and (ended.astimezone(UTC).year, ended.astimezone(UTC).month) == (
            self.year,
            self.month,
        )

    def __str__(self) -> str:
        return f"{_MONTHS[self.month - 1]} {self.year}"


@dataclass(frozen=True)
class Drill:
    entry: Object  # as in status.lastDrills
    checks: str
    kept: bool  # by the Repository itself

    @property
    def passed(self) -> bool:
        return last_drills.passed(self.entry)


async def run(args: argparse.Namespace, terminal: Terminal) -> int:
    now = datetime.now(UTC)
    month = month_of(args.month, now)
    async with connect(args) as session:
        where = "" if args.all_namespaces else None
        repositories = await session.all("repositories", where)
        drills = await session.all("restoredrills", where)
        if args.repository:
            known = names_of(repositories)
            repositories = [one for one in repositories if one["metadata"]["name"] == args.repository]
            if not repositories:
                raise unknown("Repository", args.repository, session.namespace, known)
    terminal.say("\n".join(lines(repositories, drills, month, now)))
    return OK


def month_of(text: str, now: datetime) -> Month:
    if not text:
        return Month(now.year, now.month)
    found = _MONTH.fullmatch(text)
    if found is None or not 1 <= int(found[2]) <= 12:
        raise UsageError(f"--month {text} must be a year and a month, such as {now:%Y-%m}")
    return Month(int(found[1]), int(found[2]))


def of(repository: Object, drills: Iterable[Object], month: Month) -> list[Drill]:
    """Those of *repository* that ended in *month*, newest first."""
    place = _place(repository)
    own = {
        one["metadata"]["uid"]: one
        for one in drills
        if (one["metadata"].get("namespace"), one["spec"].get("repository")) == place
        and (one.get("status") or {}).get("completionTime")
    }
    kept = last_drills.of(repository)
    found = [Drill(entry, _checks(own.get(entry.get("uid"))), kept=True) for entry in kept]
    known = {entry.get("uid") for entry in kept}
    for uid, one in own.items():
        if uid not in known:
            status = one["status"]
            entry = last_drills.entry(one, status, str(status.get("storage") or ""))
            found.append(Drill(entry, _checks(one), kept=False))
    ordered = sorted(found, key=lambda one: str(one.entry.get("endedAt")), reverse=True)
    return [one for one in ordered if month.has(one.entry)]


def _place(repository: Object) -> tuple[str | None, str]:
    return repository["metadata"].get("namespace"), repository["metadata"]["name"]


def _checks(drill: Object | None) -> str:
    listed = objects(drill, "status", "checks")
    if not listed:
        return ""
    outcomes = [str(one.get("outcome")) for one in listed]
    told = ((outcomes.count(word), word.lower()) for word in ("Passed", "Failed", "Skipped"))
    return ", ".join(f"{number} {word}" for number, word in told if number)


def lines(repositories: Sequence[Object], drills: Sequence[Object], month: Month, now: datetime) -> list[str]:
    found = [(one, of(one, drills, month)) for one in repositories]
    return [
        f"# Restore drills, {month}",
        "",
        f"Made {clock(now)} by pgwarden {__version__}. All times are UTC.",
        "A drill restores a backup into a volume of its own, starts PostgreSQL on it, checks it and deletes it again.",
        "*Took* and *RTO measured* are of the restore, without the wait for its turn and without the checks.",
        "",
        *_table(
            ("Repository", "Proven now", "Passed", "Failed", "Last proof in the month", "Up to", "Set", "RTO measured"),
            (_summary(repository, ended) for repository, ended in found),
        ),
        *(line for repository, ended in found for line in _section(repository, ended, month)),
    ]


def _summary(repository: Object, ended: Sequence[Drill]) -> tuple[str, ...]:
    proofs = [one for one in ended if one.passed]
    last = proofs[0].entry if proofs else {}
    return (
        _name(repository),
        _PROVEN.get(condition(repository, last_drills.CONDITION), "not known"),
        str(len(proofs)),
        str(len(ended) - len(proofs)),
        clock(last_drills.ended(last)),
        str(last.get("recoveredTo") or ""),
        str(last.get("set") or ""),
        _rto(proofs, get(repository, str, "spec", "objectives", "rto") or ""),
    )


def _rto(proofs: Sequence[Drill], objective: str) -> str:
    """The longest: what has to be reckoned with."""
    took = [seconds for one in proofs if (seconds := get(one.entry, int, "seconds")) is not None]
    if not took:
        return ""
    text = f"{span(timedelta(seconds=max(took)))} (longest of {count(len(took), 'drill')})"
    wanted = duration.parse(objective)
    if not wanted:
        return text
    return f"{text}; objective {objective}: {'met' if timedelta(seconds=max(took)) <= wanted else '**not met**'}"


def _section(repository: Object, ended: Sequence[Drill], month: Month) -> list[str]:
    head = ["", f"## {_name(repository)}", ""]
    verdict = found_condition(repository, last_drills.CONDITION)
    if verdict.get("message"):
        head += [f"Now: {_cell(verdict['message'])}.", ""]
    if not ended:
        return [*head, f"No drill ended in {month}."]
    heads = ("Ended", "Drill", "Result", "Storage", "Set", "Recovered to", "Took", "Checks", "Why")
    marks = (
        []
        if all(one.kept for one in ended)
        else ["", "\\* Told by the RestoreDrill alone: the Repository keeps the newest ten."]
    )
    return [*head, *_table(heads, map(_row, ended)), *marks]


def _row(one: Drill) -> tuple[str, ...]:
    entry, seconds = one.entry, get(one.entry, int, "seconds")
    return (
        clock(last_drills.ended(entry)),
        str(entry.get("name")) + ("" if one.kept else " \\*"),
        "passed" if one.passed else "**failed**",
        str(entry.get("storage") or ""),
        str(entry.get("set") or ""),
        str(entry.get("recoveredTo") or ""),
        span(timedelta(seconds=seconds)) if seconds is not None else "",
        one.checks,
        "" if one.passed else f"{entry.get('reason')}: {entry.get('message', '')}",
    )


def _name(repository: Object) -> str:
    namespace, name = _place(repository)
    return f"{namespace}/{name}" if namespace else name


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    body = [f"| {' | '.join(_cell(cell) or '-' for cell in row)} |" for row in rows]
    return [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *body]


def _cell(text: str) -> str:
    """On one line; nothing in it ends a cell, is HTML or a link: what a check has found is anybody's text."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")
