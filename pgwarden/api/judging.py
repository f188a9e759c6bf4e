"""What goes into a judgement of an object, and what comes out of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

import msgspec

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.faults import Elsewhere, Fault, Waits
from pgwarden.api.objects import Object
from pgwarden.api.reading import T, get


class Lookup(Protocol):
    """What else is in the cluster. Answers come from a cache: they may be a moment old."""

    def repository(self, namespace: str, name: str) -> Object | None: ...
    def backups(self, namespace: str, repository: str) -> list[Object]: ...
    def schedules(self, namespace: str, repository: str) -> list[Object]: ...
    def restores(self, namespace: str, repository: str) -> list[Object]: ...
    def repositories(self) -> Iterable[Object]:
        """Of each at least `metadata` and `spec`."""


class Verdict(msgspec.Struct, frozen=True):
    """Admitted where there are no faults. Warnings are printed by kubectl either way."""

    faults: list[Fault] = []
    warnings: list[str] = []
    #: Those of the warnings that only inform: nothing needs to change.
    notes: list[str] = []

    @property
    def ok(self) -> bool:
        return not self.faults


class Case(msgspec.Struct):
    """One object under judgement, and what is found out about it."""

    obj: Object
    old: Object | None
    lookup: Lookup
    now: datetime
    defaults: OperatorDefaults
    standing: bool = False  # the object is in the API server: its status is ours
    faults: list[Fault] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)

    @property
    def namespace(self) -> str:
        return get(self.obj, str, "metadata", "namespace") or "default"

    @property
    def name(self) -> str:
        return get(self.obj, str, "metadata", "name") or ""

    def get(self, kind: type[T], *path: str) -> T | None:
        return get(self.obj, kind, "spec", *path)

    def refuse(
        self,
        field: str,
        value: Any,
        message: str,
        rule: str,
        waits: Waits | None = None,
        *,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """*waits* wherever anything but the object itself was looked at to find the fault, *elsewhere* where that was
        in another namespace (see Fault).
        """
        self.faults.append(Fault(field, value, message, rule, waits, elsewhere))

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def note(self, text: str) -> None:
        """A warning, as kubectl prints no other lines, of what is good to know."""
        self.warn(text)
        self.notes.append(text)
