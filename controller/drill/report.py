"""What the Job with the checks has left in its termination message, by checks.sh. Pure: it is outside text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controller import owned
from pgwarden.api import outside
from pgwarden.api.objects import Object
from pgwarden.api.reading import objects

OUTCOMES = frozenset({"Passed", "Failed", "Skipped"})
_MOST = 40  # lines
_CHARACTERS = 200


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
    whole: bool = False  # it came to its end

    @property
    def failed(self) -> list[Check]:
        return [one for one in self.checks if one.outcome == "Failed"]


def parse(text: str) -> Report:
    found: dict[str, Check] = {}
    lines = text.splitlines()[:_MOST]
    for line in lines:
        outcome, _, rest = line.partition("\t")
        name, _, message = rest.partition("\t")
        if outcome in OUTCOMES and name:
            shown = outside.printable(message.strip())[:_CHARACTERS]
            found[name[:63]] = Check(outside.printable(name)[:63], outcome, shown)
    return Report(tuple(found.values()), "end" in lines)


def of(job: Object, pods: Iterable[Object], container: str) -> Report:
    for pod in pods:
        if not owned.is_owned(pod, job["metadata"]["uid"]):
            continue
        for one in objects(pod, "status", "containerStatuses"):
            ended = (one.get("state") or {}).get("terminated")
            if one.get("name") == container and ended:
                return parse(str(ended.get("message") or ""))
    return Report()
