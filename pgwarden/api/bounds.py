"""Size before content: a value larger than its schema allows is one fault, and no rule reads it.

A mutating webhook is called before the API server applies the schema, so anything may arrive. The work here is linear
in the size of the input; everything after it works on bounded data.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import msgspec

from pgwarden.api.faults import MOST, Fault

#: Bytes of an object of ours as JSON, without its status and managedFields. etcd takes 1.5 MiB; honest ones are 2 KiB.
MOST_BYTES = 256 * 1024
KEY = 317  # characters of a name in a map: a prefix of 253, a slash, and 63
_STRING = 1024  # characters of a text whose schema has no bound
_MANY = 1000  # entries of a list or map whose schema has no bound
_ENUM = 64  # of one that can only be one of a few words


class _Unread:
    """Stands for what was not looked at: of another type than any field, so that rules pass over it."""

    def __repr__(self) -> str:
        return "(not looked at)"


UNREAD = _Unread()


class Bounded(msgspec.Struct):
    """What of an object may be looked at, what was wrong with the rest, and how much more of that there is."""

    obj: Any
    faults: list[Fault] = msgspec.field(default_factory=list)
    unknown: int = 0  # fields that no schema has, besides the first ones, which are still in `obj`

    def refuse(self, path: str, value: Any, message: str) -> _Unread:
        self.faults.append(Fault(path, value, message, "schema"))
        return UNREAD


def too_large(size: int) -> Fault:
    """The one fault of an object of *size* bytes."""
    message = (
        f"the object has {size // 1024} KiB, more than 256 KiB; shorten its annotations and spec, and create it "
        "without a status"
    )
    return Fault("spec", None, message, "size")


def size_of(obj: Any) -> int:
    """Bytes of *obj* as JSON, without its status and managedFields. What cannot be written has none."""
    if not isinstance(obj, dict):
        return 0
    own = {key: value for key, value in obj.items() if key != "status"}
    metadata = own.get("metadata")
    if isinstance(metadata, dict) and "managedFields" in metadata:
        own["metadata"] = {key: value for key, value in metadata.items() if key != "managedFields"}
    try:
        return len(msgspec.json.encode(own))
    except (ValueError, TypeError, RecursionError, OverflowError):
        return 0


def bounded(obj: Any, schema: Mapping[str, Any]) -> Bounded:
    """*obj* with UNREAD in the place of all that is out of bounds. Shapes may be wrong, and stay so."""
    found = Bounded(None)
    found.obj = _look(obj, schema, "", found)
    return found


def _look(value: Any, schema: Mapping[str, Any], path: str, found: Bounded) -> Any:
    if isinstance(value, str):
        return _text(value, schema, path, found)
    if isinstance(value, list):
        return _list(value, schema, path, found)
    if isinstance(value, dict):
        return _map(value, schema, path, found)
    return value


def _text(value: str, schema: Mapping[str, Any], path: str, found: Bounded) -> Any:
    most = schema.get("maxLength", _ENUM if "enum" in schema else _STRING)
    if len(value) <= most:
        return value
    if schema.get("type", "string") != "string":
        return value[:most]  # it is of the wrong type whatever its length
    shown = f"{value[:197]}…"
    if "enum" in schema:
        return found.refuse(path, shown, f"must be one of {', '.join(each for each in schema['enum'] if each)}")
    return found.refuse(path, shown, f"must have at most {most} characters, not {len(value)}")


def _list(value: list[Any], schema: Mapping[str, Any], path: str, found: Bounded) -> Any:
    if schema.get("type") != "array" or "items" not in schema:
        return []  # of the wrong type: what is in it is of no matter
    most = schema.get("maxItems", _MANY)
    if len(value) > most:
        return found.refuse(path, "(a list)", f"must have at most {most} entries, not {len(value)}")
    return [_look(each, schema["items"], f"{path}[{number}]", found) for number, each in enumerate(value)]


def _map(value: dict[str, Any], schema: Mapping[str, Any], path: str, found: Bounded) -> Any:
    if schema.get("type") != "object":
        return {}
    if "properties" in schema:
        return _fields(value, schema["properties"], path, found)
    more = schema.get("additionalProperties")
    if not isinstance(more, dict):
        return value  # metadata, which is Kubernetes' own
    most = schema.get("maxProperties", _MANY)
    if len(value) > most:
        return found.refuse(path, "(an object)", f"must have at most {most} entries, not {len(value)}")
    entries = {}
    for key, each in value.items():
        if len(key) > KEY:
            found.refuse(f"{path}.{key[:80]}", None, f"must have a name of at most {KEY} characters, not {len(key)}")
        else:
            entries[key] = _look(each, more, f"{path}.{key}", found)
    return entries


def _fields(value: dict[str, Any], schemas: Mapping[str, Any], path: str, found: Bounded) -> dict[str, Any]:
    known = {
        name: _look(each, schemas[name], f"{path}.{name}" if path else name, found)
        for name, each in value.items()
        if name in schemas
    }
    strangers = len(value) - len(known)
    if not strangers:
        return known
    found.unknown += max(strangers - MOST, 0)
    some = islice((name for name in value if name not in schemas), MOST)
    return known | {name: _emptied(value[name]) for name in some}


def _emptied(value: Any) -> Any:
    """Of the same kind as *value*: all that is told of it."""
    if isinstance(value, str):
        return value[:_STRING]
    return [] if isinstance(value, list) else {} if isinstance(value, dict) else value
