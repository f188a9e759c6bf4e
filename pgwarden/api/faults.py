"""A fault in what a user asked for: the field, its value, what is wrong and the way out."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import msgspec


class Waits(StrEnum):
    """What an object waits for whose fault is not its own: the reason in its status."""

    NO_REPOSITORY = "NoRepository"
    REPOSITORY_GOING = "RepositoryGoing"
    STORAGE_MISSING = "StorageMissing"
    NO_SUCH_SET = "NoSuchSet"
    OUTSIDE_WINDOW = "OutsideWindow"
    NO_SUCH_TIMELINE = "NoSuchTimeline"
    DEFAULT_MISSING = "DefaultMissing"
    PLACE_TAKEN = "PlaceTaken"
    NAME_TAKEN = "NameTaken"
    SOURCE_MISSING = "SourceMissing"
    SOURCE_UNSUITABLE = "SourceUnsuitable"
    NOT_ALLOWED = "NotAllowed"


class Fault(msgspec.Struct, frozen=True, order=False):
    """One refusal. `field` is a path as Kubernetes writes it (`spec.s3.bucket`, `spec.options[1]`).

    `waits` is empty where the object itself is at fault: only its author can mend that. Where the fault was found by
    looking at something else (another object, its status, the clock, the operator's defaults) the world may mend it,
    and `waits` says what has to come. At admission both are refused; what is in the API server already waits.
    """

    field: str
    value: Any
    message: str
    rule: str = ""
    waits: Waits | None = None

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.field}: {self.message}"
        return f"{self.field}: {json.dumps(self.value, ensure_ascii=False, default=str)}: {self.message}"


def summary(faults: list[Fault] | tuple[Fault, ...]) -> str:
    """All *faults* as the one message that `kubectl apply` prints."""
    if len(faults) == 1:
        return str(faults[0])
    return f"{len(faults)} faults: " + "; ".join(f"[{n}] {fault}" for n, fault in enumerate(faults, 1))
