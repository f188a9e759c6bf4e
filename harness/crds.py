"""`python3 -m harness.crds`: the schema of one kind into that of another which holds its spec.

The Repository's goes into the PostgresCluster's, the RestoreDrill's into the RestoreDrillSchedule's.

crds/ is one schema that everybody reads as it is, so the copies are in the files; a test holds them together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

CRDS = Path(__file__).resolve().parent.parent / "crds"
Lines = list[str]


def embedded(into: str) -> str:
    """The file *into* as it should be."""
    source, part = PARTS[into]
    begin_mark, end_mark = f"# {source} begins", f"# {source} ends"
    own = (CRDS / into).read_text(encoding="utf-8").splitlines()
    begin = next(n for n, line in enumerate(own) if line.strip().startswith(begin_mark))
    end = next(n for n, line in enumerate(own) if line.strip() == end_mark)
    found = part(_spec((CRDS / source).read_text(encoding="utf-8").splitlines()))
    return "\n".join([*own[: begin + 1], *_indented(found), *own[end:]]) + "\n"


def _spec(lines: Lines) -> Lines:
    """What is below `spec:`."""
    at = next(n for n, line in enumerate(lines) if line == "            spec:")
    end = next(n for n, line in enumerate(lines) if line == "            status:")
    return lines[at + 1 : end]


def _of_cluster(body: Lines) -> Lines:
    """Without its description and type, and without what a cluster's own Repository never has: `postgres`, and a stanza
    that another pgBackRest has laid.
    """
    body = body[next(n for n, line in enumerate(body) if "x-kubernetes-validations" in line) :]
    for field in ("postgres", "stanza", "accessMode"):
        body = _without(body, field)
    return body


def _of_schedule(body: Lines) -> Lines:
    """Without `repository`, which the schedule names itself, and without the rule that nothing of it may change."""
    body = _without(body, "repository")
    properties = next(n for n, line in enumerate(body) if line == "              properties:")
    rules = [n for n, line in enumerate(body[:properties]) if line == "              x-kubernetes-validations:"]
    kept = (
        [rule for rule in _rules(body[rules[0] + 1 : properties]) if "self == oldSelf" not in rule[0]] if rules else []
    )
    head = ["              x-kubernetes-validations:", *(line for rule in kept for line in rule)] if kept else []
    return [*head, *body[properties:]]


def _rules(lines: Lines) -> list[Lines]:
    found: list[Lines] = []
    for line in lines:
        if line.startswith("                - "):
            found.append([])
        found[-1].append(line)
    return found


def _without(body: Lines, field: str) -> Lines:
    """Without that field of the spec itself."""
    first = body.index(f"                {field}:")
    others = (n for n, line in enumerate(body) if n > first and not line.startswith("                 "))
    return body[:first] + body[next(others, len(body)) :]


def _indented(lines: Lines) -> Lines:
    return [f"    {line}" if line else "" for line in lines]


#: File → the file whose spec it holds, and what of that.
PARTS: Mapping[str, tuple[str, Callable[[Lines], Lines]]] = {
    "postgrescluster.yaml": ("repository.yaml", _of_cluster),
    "restoredrillschedule.yaml": ("restoredrill.yaml", _of_schedule),
}


if __name__ == "__main__":
    for name in PARTS:
        (CRDS / name).write_text(embedded(name), encoding="utf-8")
