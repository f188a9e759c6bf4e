"""Findings of lint as text, JSON and SARIF 2.1.0."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from pgwarden import __version__
from pgwarden.api.faults import Fault
from pgwarden.api.reading import get
from pgwarden.cli.documents import Document

_SARIF = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


@dataclass(frozen=True)
class Finding:
    file: str
    line: int
    kind: str
    namespace: str
    name: str
    level: str  # error | warning | note, as SARIF has them
    fault: Fault

    @property
    def title(self) -> str:
        return " ".join(part for part in (self.kind, self.name) if part)


def finding(document: Document, fault: Fault, *, level: str = "error", line: int = 0) -> Finding:
    obj = document.obj
    return Finding(
        file=document.file,
        line=line or document.line(fault.field),
        kind=get(obj, str, "kind") or "",
        namespace=get(obj, str, "metadata", "namespace") or "",
        name=get(obj, str, "metadata", "name") or "",
        level=level,
        fault=fault,
    )


def _said(fault: Fault) -> str:
    return str(fault) if fault.field else fault.message


def as_text(found: Sequence[Finding], documents: Sequence[Document]) -> str:
    lines = []
    for one in found:
        about = f"{one.title}: " if one.title else ""
        rule = f" [{one.fault.rule}]" if one.level == "error" and one.fault.rule else ""
        lines.append(f"{one.file}:{one.line}: {one.level}: {about}{_said(one.fault)}{rule}")
    return "\n".join([*lines, _summary(found, documents)])


def _summary(found: Sequence[Finding], documents: Sequence[Document]) -> str:
    faults = sum(one.level == "error" for one in found)
    warnings = sum(one.level == "warning" for one in found)
    where = f"{_count(len(documents), 'document')} of {_count(len({each.file for each in documents}), 'file')}"
    return f"{_count(faults, 'fault')} and {_count(warnings, 'warning')} in {where}"


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def as_json(found: Sequence[Finding], documents: Sequence[Document]) -> str:
    entries = [
        {
            "level": one.level,
            "file": one.file,
            "line": one.line,
            "kind": one.kind,
            "namespace": one.namespace,
            "name": one.name,
            "field": one.fault.field,
            "value": one.fault.value,
            "message": one.fault.message,
            "rule": one.fault.rule,
        }
        for one in found
    ]
    return json.dumps({"documents": len(documents), "findings": entries}, indent=2, ensure_ascii=False)


def as_sarif(found: Sequence[Finding], documents: Sequence[Document]) -> str:
    rules = sorted({one.fault.rule or "other" for one in found})
    driver = {
        "name": "pgwarden",
        "version": __version__,
        "rules": [{"id": f"pgwarden/{rule}", "name": rule} for rule in rules],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "artifacts": [{"location": {"uri": _uri(file)}} for file in dict.fromkeys(each.file for each in documents)],
        "results": [_result(one, rules) for one in found],
    }
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _result(one: Finding, rules: list[str]) -> dict[str, Any]:
    rule = one.fault.rule or "other"
    about = f"{one.title}: " if one.title else ""
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": _uri(one.file)}, "region": {"startLine": one.line}}
    }
    if one.fault.field:
        location["logicalLocations"] = [{"fullyQualifiedName": f"{one.kind}/{one.name}/{one.fault.field}"}]
    return {
        "ruleId": f"pgwarden/{rule}",
        "ruleIndex": rules.index(rule),
        "level": one.level,
        "message": {"text": about + _said(one.fault)},
        "locations": [location],
    }


def _uri(file: str) -> str:
    """Relative as it was given; absolute ones as file:// URIs."""
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


RENDER: dict[str, Callable[[Sequence[Finding], Sequence[Document]], str]] = {
    "text": as_text,
    "json": as_json,
    "sarif": as_sarif,
}
