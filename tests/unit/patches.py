"""The two kinds of patch that are sent to the API server, carried out as their texts have it."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

Object = dict[str, Any]


class DoesNotFit(Exception):
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


def carried_out(document: Object, operations: Iterable[Object]) -> Object:
    """RFC 6902's add, remove and test, on members of objects."""
    document = copy.deepcopy(document)
    for one in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in one["path"][1:].split("/")]
        where = document
        for part in parents:
            if part not in where:
                raise DoesNotFit(one["path"])
            where = where[part]
        if (one["op"] == "test" and where.get(last) != one["value"]) or (one["op"] == "remove" and last not in where):
            raise DoesNotFit(one["path"])
        if one["op"] == "remove":
            del where[last]
        elif one["op"] == "add":
            where[last] = copy.deepcopy(one["value"])
    return document
