"""The two kinds of patch that Kubernetes knows, carried out as their texts have it."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

Object = dict[str, Any]


class DoesNotFit(AssertionError):
    """A test failed, or a place is not there."""


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def carried_out(document: Any, operations: Iterable[Object]) -> Any:
    """RFC 6902's add, replace, remove and test. *document* stays as it is."""
    whole = copy.deepcopy(document)
    for one in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in one["path"].split("/")[1:]]
        target = whole
        for part in parents:
            target = target[_key(target, part, one)]
        _carry_out(target, last, one)
    return whole


def _key(target: Any, part: str, operation: Object) -> Any:
    """Of a member that is there."""
    key: Any = int(part) if isinstance(target, list) else part
    if not (key < len(target) if isinstance(target, list) else key in target):
        raise DoesNotFit(operation["path"])
    return key


def _carry_out(target: Any, last: str, operation: Object) -> None:
    if operation["op"] == "add":
        _add(target, last, operation)
        return
    key = _key(target, last, operation)
    if operation["op"] == "remove":
        del target[key]
    elif operation["op"] == "replace":
        target[key] = copy.deepcopy(operation["value"])
    elif operation["op"] != "test" or target[key] != operation["value"]:
        raise DoesNotFit(operation["path"])


def _add(target: Any, last: str, operation: Object) -> None:
    value = copy.deepcopy(operation["value"])
    if isinstance(target, dict):
        target[last] = value
        return
    at = len(target) if last == "-" else int(last)
    if at > len(target):
        raise DoesNotFit(operation["path"])
    target.insert(at, value)
