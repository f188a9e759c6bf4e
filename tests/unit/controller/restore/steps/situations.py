"""What the situations of the steps are made of, and what is said of a verdict."""

from __future__ import annotations

import copy

RESTORE = {
    "kind": "Restore",
    "metadata": {"name": "back", "namespace": "ns", "uid": "r-1", "creationTimestamp": "2026-11-23T12:00:01Z"},
}


def said(verdict) -> tuple[str, str]:
    return verdict.kind, verdict.reason


def merged(obj, patch):
    obj = copy.deepcopy(obj)
    for key, value in patch.items():
        obj[key] = obj[key] | value
    return obj
