"""The CRDs' schemas as msgspec types: a hundred times faster than a validator at saying that nothing is wrong.

An object that converts is valid. One that does not convert goes to the validator, which names its faults. So a type may
be stricter than its schema, but never laxer: a schema with an unknown keyword becomes a type that nothing converts to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from pgwarden.api.bounds import KEY

#: Keywords that a type says, or that say nothing about a value.
_UNDERSTOOD = {
    "type", "properties", "required", "additionalProperties", "items", "maxItems", "enum", "pattern", "minLength",
    "maxLength", "maxProperties", "minimum", "maximum", "description", "x-pgwarden-description",
}  # fmt: skip
_NEVER: Any = Literal["\x00 nothing is this"]
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]


def type_of(schema: Mapping[str, Any], name: str = "Object") -> Any:
    """A type for msgspec.convert, of a schema that is strict about unknown fields already."""
    if "anyOf" in schema:
        return _int_or_string(schema)
    if set(schema) - _UNDERSTOOD:
        return _NEVER
    match schema.get("type"):
        case "object":
            return _object(schema, name)
        case "array":
            items: Any = list[type_of(schema["items"], name)] if "items" in schema else list[Any]  # type: ignore[misc]
            return Annotated[items, msgspec.Meta(max_length=schema["maxItems"])] if "maxItems" in schema else items
        case "string":
            return _string(schema)
        case "integer":
            bounds = msgspec.Meta(ge=schema.get("minimum"), le=schema.get("maximum"))
            return Annotated[int, bounds] if {"minimum", "maximum"} & set(schema) else int
        case "boolean":
            return bool
        case _:
            return _NEVER


def _object(schema: Mapping[str, Any], name: str) -> Any:
    more = schema.get("additionalProperties")
    if "properties" not in schema:
        if more is None or isinstance(more, bool):
            return dict[str, Any] if more is not False else _NEVER
        keys = Annotated[str, msgspec.Meta(max_length=KEY)]
        entries: Any = dict[keys, type_of(more, name)]  # type: ignore[misc]
        most = schema.get("maxProperties")
        return entries if most is None else Annotated[entries, msgspec.Meta(max_length=most)]
    if more is not False:
        return _NEVER
    required = set(schema.get("required", ()))
    if required - set(schema["properties"]):
        return _NEVER
    fields: list[Any] = [
        (f"f{number}", type_of(child, f"{name}_{field}"), msgspec.field(name=field))
        if field in required
        else (
            f"f{number}",
            type_of(child, f"{name}_{field}") | msgspec.UnsetType,
            msgspec.field(default=msgspec.UNSET, name=field),
        )
        for number, (field, child) in enumerate(schema["properties"].items())
    ]
    return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True, gc=False)


def _int_or_string(schema: Mapping[str, Any]) -> Any:
    understood = {"anyOf", "maxLength", "description", "x-pgwarden-description"}
    if set(schema) - understood or schema["anyOf"] != _INT_OR_STRING:
        return _NEVER
    most = schema.get("maxLength")
    return int | (str if most is None else Annotated[str, msgspec.Meta(max_length=most)])


def _string(schema: Mapping[str, Any]) -> Any:
    if "enum" in schema:
        return (
            Literal[tuple(schema["enum"])]
            if set(schema) <= {"type", "enum", "description", "x-pgwarden-description"}
            else _NEVER
        )
    limits = {"pattern": "pattern", "minLength": "min_length", "maxLength": "max_length"}
    given = {ours: schema[theirs] for theirs, ours in limits.items() if theirs in schema}
    return Annotated[str, msgspec.Meta(**given)] if given else str
