"""A fault in what a user asked for: the field, its value, what is wrong and the way out."""

from __future__ import annotations

import json
from typing import Any

import msgspec


class Fault(msgspec.Struct, frozen=True, order=False):
    """One refusal. `field` is a path as Kubernetes writes it (`spec.s3.bucket`, `spec.options[1]`)."""

    field: str
    value: Any
    message: str
    rule: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.field}: {self.message}"
        return f"{self.field}: {json.dumps(self.value, ensure_ascii=False, default=str)}: {self.message}"


def summary(faults: list[Fault] | tuple[Fault, ...]) -> str:
    """All *faults* as the one message that `kubectl apply` prints."""
    if len(faults) == 1:
        return str(faults[0])
    return f"{len(faults)} faults: " + "; ".join(f"[{n}] {fault}" for n, fault in enumerate(faults, 1))
