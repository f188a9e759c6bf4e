"""What the Job with the checks has left in its termination message, by checks.sh. Pure: it is outside text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controller import jobs, owned
from pgwarden.api import outside
from pgwarden.api.objects import Object

OUTCOMES = frozenset({"Passed", "Failed", "Skipped"})
_MOST = 40  # lines
_CHARACTERS = 200
PHASES = ("start", "checks")
_LONGEST = 9  # digits of a number


@dataclass(frozen=True)
class Check:
    name: str
    outcome: str
    message: str

    def shown(self) -> Object:
        return {"name": self.name, "outcome": self.outcome, "message": self.message}


@dataclass(frozen=True)
class Report:
    checks: tuple[Check, ...] = ()
    seconds: tuple[tuple[str, int], ...] = ()  # of each phase
    whole: bool = False  # it came to its end, and no line of it is lost

    @property
    def failed(self) -> list[Check]:
        return [one for one in self.checks if one.outcome == "Failed"]


def parse(text: str) -> Report:
    found: dict[str, Check] = {}
    seconds: dict[str, int] = {}
    said, lines = 0, text.splitlines()[:_MOST]
    for line in lines:
        outcome, _, rest = line.partition("\t")
        name, _, message = rest.partition("\t")
        if outcome == "Seconds" and name in PHASES and _is_number(message):
            seconds[name] = int(message)
        if outcome in OUTCOMES and name:
            said += 1
            shown = outside.printable(message.strip())[:_CHARACTERS]
            found[name[:63]] = Check(outside.printable(name)[:63], outcome, shown)
    return Report(tuple(found.values()), tuple(seconds.items()), f"end\t{said}" in lines)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST


def of(job: Object, pods: Iterable[Object]) -> Report:
    """Of the last pod that left one: those before it were killed."""
    own = [pod for pod in pods if owned.is_owned(pod, job["metadata"]["uid"])]
    texts = (str(ended.get("message") or "") for ended in jobs.newest_ends(own, job))
    return next((parse(text) for text in texts if text), Report())
