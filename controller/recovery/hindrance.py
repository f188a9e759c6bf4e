"""Why a recovery cannot begin: for good, or not yet. Every use of a recovery says it in its own status."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hindrance:
    reason: str  # CamelCase, for a condition
    message: str
    final: bool  # whether another look would find the same
    slow: bool = False  # whether it takes something that does not come by itself


def never(reason: str, message: str) -> Hindrance:
    return Hindrance(reason, message, final=True)


def not_yet(reason: str, message: str, *, slow: bool = False) -> Hindrance:
    return Hindrance(reason, message, final=False, slow=slow)
