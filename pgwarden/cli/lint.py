"""lint: every fault of a set of manifests, by the webhook's own rules and without a cluster."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pgwarden import rules, storages
from pgwarden.api import names
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.faults import Fault
from pgwarden.api.reading import get
from pgwarden.api.schema import with_defaults
from pgwarden.cli import report
from pgwarden.cli.documents import Document, read_all
from pgwarden.cli.errors import OK, WRONG
from pgwarden.cli.lookup import Objects, placed
from pgwarden.cli.terminal import Terminal
from pgwarden.injection.decide import Inject, Refuse
from pgwarden.injection.settings import Settings
from pgwarden.injection.workloads import MISPLACED, decision, misplaced_label, template_of


@dataclass(frozen=True)
class LintCase:
    """What all documents are judged by."""

    documents: Sequence[Document]
    lookup: Objects
    namespace: str
    now: datetime
    defaults: OperatorDefaults


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    documents = read_all(args.file, terminal.source)
    defaults = OperatorDefaults(**{field: getattr(args, f"default_{field}") for field in storages.default_fields()})
    found = lint(
        documents,
        namespace=args.namespace or "default",
        assumed=args.repository or (),
        defaults=defaults,
        now=datetime.now(UTC),
    )
    terminal.say(report.RENDER[args.output](found, documents))
    return WRONG if any(one.level == "error" for one in found) else OK


def lint(
    documents: Sequence[Document],
    *,
    namespace: str,
    assumed: Sequence[str],
    defaults: OperatorDefaults,
    now: datetime,
) -> list[report.Finding]:
    """In the order of files and lines."""
    ours = [placed(with_defaults(each.obj), namespace) for each in documents if is_ours(each.obj)]
    case = LintCase(documents, Objects(ours, namespace, assumed), namespace, now, defaults)
    found = [finding for document in documents for finding in _of(document, case)]
    found += _twice(documents, namespace)
    order = {file: number for number, file in enumerate(dict.fromkeys(each.file for each in documents))}
    return sorted(found, key=lambda one: (order[one.file], one.line))


def is_ours(obj: Any) -> bool:
    return (get(obj, str, "apiVersion") or "").partition("/")[0] == names.GROUP


def _of(document: Document, case: LintCase) -> Iterator[report.Finding]:
    for line, fault in document.faults:
        yield report.finding(document, fault, line=line)
    if is_ours(document.obj):
        yield from _ours(document, case)
        return
    template = template_of(document.obj, case.namespace)
    if template is None:
        return
    if misplaced_label(document.obj, template):
        field = f"metadata.labels[{names.LABEL_REPOSITORY}]"
        yield report.finding(document, Fault(field, None, MISPLACED, "misplaced-label"))
    decided = decision(template, case.lookup.repository, Settings(image="pgwarden", defaults=case.defaults))
    if isinstance(decided, Refuse):
        for fault in decided.faults:
            yield report.finding(document, _moved(fault, template.field(fault.field)))
    if isinstance(decided, Inject):
        for warning in decided.warnings:
            yield report.finding(document, Fault(template.field(""), None, warning, "warning"), level="warning")


def _moved(fault: Fault, field: str) -> Fault:
    return Fault(field, fault.value, fault.message, fault.rule)


def _ours(document: Document, case: LintCase) -> Iterator[report.Finding]:
    metadata = get(document.obj, dict, "metadata") or {}
    if not metadata.get("name") and not metadata.get("generateName"):
        yield report.finding(document, Fault("metadata.name", None, "is required", "name"))
    obj = placed(with_defaults(document.obj), case.namespace)
    verdict = rules.validate(obj, old=None, lookup=case.lookup, now=case.now, defaults=case.defaults)
    for fault in verdict.faults:
        yield report.finding(document, fault.told(lambda *_: True))  # all that was looked at is in these files
    for text in verdict.warnings:
        level = "note" if text in verdict.notes else "warning"
        yield report.finding(document, Fault("", None, text, level), level=level)


def _twice(documents: Sequence[Document], namespace: str) -> Iterator[report.Finding]:
    """The same object in two places: whichever is applied last wins."""
    seen: dict[tuple[str, str, str], Document] = {}
    for document in documents:
        name = get(document.obj, str, "metadata", "name")
        if not is_ours(document.obj) or not name:
            continue
        where = get(document.obj, str, "metadata", "namespace") or namespace
        key = (str(document.obj.get("kind")), where, name)
        first = seen.setdefault(key, document)
        if first is not document:
            message = f"is defined twice, first at {first.file}:{first.line('metadata.name')}"
            yield report.finding(document, Fault("metadata.name", name, message, "twice"))
