"""Warnings for whoever changes a StatefulSet or a Deployment, before its old pods go. Nothing is refused here.

A pod that is refused is told to the controller that makes it, and only in Events: by then the old one is gone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Any

from pgwarden.api import names, outside
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.injection.decide import Inject, Refuse
from pgwarden.injection.settings import Settings
from pgwarden.injection.workloads import MISPLACED, Template, decision, misplaced_label, template_of
from webhook import incoming
from webhook.handlers import FindRepository, Known
from webhook.review import Answer, Request

_PASSED = Answer(outcome="skipped")
_LONGEST_NAME = 63
_MOST_TOLD = 5


class Workloads:
    """*known* is the cache; *find_repository* asks the API server too, for what is not in it."""

    def __init__(self, settings: Settings, find_repository: FindRepository, known: Known) -> None:
        self._settings = settings
        self._find_repository = find_repository
        self._known = known

    def check(self, request: Request[Any]) -> Answer | Awaitable[Answer]:
        if request.operation not in {"CREATE", "UPDATE"} or request.sub_resource:
            return _PASSED
        read = _read(request)
        if read is None:
            return _PASSED
        obj, template = read
        name = _label(template)
        if not name or max(len(name), len(request.namespace)) > _LONGEST_NAME:
            return _warned(self._warnings(obj, template, None))
        repository = self._known(request.namespace, name)
        if repository is not None:
            return _warned(self._warnings(obj, template, repository))
        return self._later(obj, template, request.namespace, name)

    async def _later(self, obj: Object, template: Template, namespace: str, name: str) -> Answer:
        return _warned(self._warnings(obj, template, await self._find_repository(namespace, name)))

    def _warnings(self, obj: Object, template: Template, repository: Object | None) -> Iterator[str]:
        if misplaced_label(obj, template):
            yield f"metadata.labels[{names.LABEL_REPOSITORY}]: {MISPLACED}"
        yield from _unknown("metadata.labels", get(obj, dict, "metadata", "labels"))
        yield from _unknown(template.field("metadata.labels"), get(template.pod, dict, "metadata", "labels"))
        if not _label(template):
            return
        found = decision(template, lambda *_: repository, self._settings)
        if isinstance(found, Refuse):
            for fault in found.faults[:_MOST_TOLD]:
                yield f"its pods will be refused once they are made again: {template.field(str(fault))}"
        elif isinstance(found, Inject):
            yield from found.warnings


def _read(request: Request[Any]) -> tuple[Object, Template] | None:
    """None where it is none of ours, makes no pods, or is larger than any that is looked into."""
    if incoming.pod_fault(request.object) is not None:
        return None
    obj = outside.decode_object(bytes(request.object), most=incoming.MOST_POD)
    if obj is None or get(obj, str, "metadata", "labels", names.MANAGED_BY) == "pgwarden":
        return None
    template = template_of(obj, request.namespace)
    return (obj, template) if template is not None else None


def _label(template: Template) -> str:
    return get(template.pod, str, "metadata", "labels", names.LABEL_REPOSITORY) or ""


def _unknown(field: str, labels: dict[str, Any] | None) -> Iterator[str]:
    """A label in our name that nobody reads."""
    for label in sorted(labels or {})[:1000]:
        if isinstance(label, str) and label.startswith("pgwarden") and label not in _LABELS:
            yield f"{field}[{label}]: pgwarden reads no such label; did you mean {names.LABEL_REPOSITORY}?"


_LABELS = frozenset(value for name, value in vars(names).items() if name.startswith("LABEL_"))


def _warned(warnings: Iterator[str]) -> Answer:
    return Answer(outcome="allowed", warnings=tuple(warnings))
