"""Each reason that a condition, a phase or an event can have stands in docs/troubleshooting.md; so does each metric's name."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from controller.admission import _ASKED_LATER
from pgwarden.api.faults import Waits

from .pages import ROOT, text

PAGE = text(ROOT / "docs" / "troubleshooting.md")
SOURCES = [*(ROOT / "controller").rglob("*.py"), ROOT / "pgwarden" / "pgbackrest" / "trouble.py"]
SOURCES += (ROOT / "pgwarden" / "storages").rglob("*.py")
#: What makes a reason out of one of its first four arguments.
MAKERS = {
    "ConditionVerdict",
    "StepVerdict",
    "Trouble",
    "Missed",
    "fail",
    "wait",
    "done",
    "settled",
    "act",
    "never",
    "not_yet",
}
MAKERS |= {"put", "_put", "_wait", "_failed", "_say", "normal", "warning"}
CAMEL = re.compile(r"(?:[A-Z][a-z]+)+(?:[A-Z]+[a-z]+)*|[A-Z]{3}[A-Z][a-z]+|NoWALYet")
#: Kinds and words of Kubernetes that are handed to the same functions.
NOT_REASONS = {"Repository", "Backup", "BackupSchedule", "Restore", "PostgresCluster", "StatefulSet", "Deployment"}
NOT_REASONS |= {"RestoreDrill", "RestoreDrillSchedule"}
NOT_REASONS |= {"Unknown", "Retain", "FailedCreate", "Container", "Pod"}


def reasons(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in MAKERS:
            for argument in node.args[:4]:
                yield from _words(argument)
        elif isinstance(node, ast.Call) and _name(node.func) == "Made":  # controller/schedule/made.py
            yield from (word for keyword in node.keywords for word in _words(keyword.value))
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (word for key, value in pairs if _is(key, "reason") for word in _words(value))
            yield from (word for value in node.values if isinstance(value, ast.Tuple) for word in _first(value))
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            yield from _first(node.value)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
            yield from (word for word in _words(node.value) if isinstance(node.value, ast.Constant))


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _is(key: ast.expr | None, word: str) -> bool:
    return isinstance(key, ast.Constant) and key.value == word


def _first(value: ast.Tuple) -> Iterator[str]:
    if len(value.elts) > 1:
        yield from _words(value.elts[0])


def _words(value: ast.expr) -> Iterator[str]:
    """Constants that look like a reason: alone, or as the arms of a conditional; not those inside of other calls."""
    if isinstance(value, ast.IfExp):
        yield from _words(value.body)
        yield from _words(value.orelse)
    elif isinstance(value, ast.JoinedStr):
        head = value.values[0]
        if isinstance(head, ast.Constant) and str(head.value).endswith(":"):
            yield str(head.value)[:-1]
    elif isinstance(value, ast.Constant) and isinstance(value.value, str) and CAMEL.fullmatch(value.value):
        yield value.value


def of(path: Path) -> list[str]:
    return sorted(set(reasons(ast.parse(path.read_text(encoding="utf-8")))) - NOT_REASONS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_reason_is_explained(path: Path):
    missing = [reason for reason in of(path) if f"`{reason}`" not in PAGE]
    assert missing == []


@pytest.mark.parametrize("reason", sorted({*Waits} - _ASKED_LATER))
def test_what_is_waited_for_is_explained(reason: str):
    assert f"`{reason}`" in PAGE


def test_the_reasons_are_found_at_all():
    everything = {reason for path in SOURCES for reason in of(path)}
    known = {"NoWALYet", "TargetTooEarly", "NotNeeded", "JobLost", "NoSuchBucket", "PreviousBackupNotOver", "JobWaits"}
    known |= {"BackupNotCreated", "DrillNotCreated", "PreviousDrillNotOver"}
    assert known <= everything
    assert len(everything) > 80


def test_every_metric_in_the_page_is_served():
    for module in ("controller.repository.metrics", "controller.runtime.metrics", "webhook.metrics"):
        importlib.import_module(module)
    served = {family.name for family in REGISTRY.collect()}
    for name in set(re.findall(r"\bpgwarden_\w+", PAGE)):
        assert name.removesuffix("_total") in served, name
