"""The CRDs' own schemas, applied before the API server does: all faults at once and in our words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from pgwarden.api import bounds, registry
from pgwarden.api.faults import Fault, brief
from pgwarden.api.names import API_VERSION, GROUP
from pgwarden.api.near import near
from pgwarden.api.schema_types import type_of

_TYPES = {
    "object": "an object",
    "array": "a list",
    "string": "a string",
    "integer": "a whole number",
    "boolean": "true or false",
}
_MARK = "x-pgwarden-description"


def crd_files() -> list[Traversable]:
    """The CRDs' files: inside the installed package, or beside it in a checkout; in the image as JSON."""
    packaged = resources.files("pgwarden") / "crds"
    folder = packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "crds"
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    by_suffix = {suffix: [entry for entry in entries if entry.name.endswith(suffix)] for suffix in (".json", ".yaml")}
    return by_suffix[".json"] or by_suffix[".yaml"]


def read_crd(entry: Traversable) -> dict[str, Any]:
    if entry.name.endswith(".json"):  # in the image: a YAML reader takes 1.4 MB of every process
        return cast(dict[str, Any], msgspec.json.decode(entry.read_bytes()))
    import yaml

    # Both loaders make the same of a CRD; the one in C takes a third of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return cast(dict[str, Any], yaml.load(entry.read_text(encoding="utf-8"), Loader=loader))  # noqa: S506  safe


@lru_cache(maxsize=1)
def crds() -> Mapping[str, dict[str, Any]]:
    """Kind → CustomResourceDefinition."""
    return {crd["spec"]["names"]["kind"]: crd for crd in map(read_crd, crd_files())}


@lru_cache(maxsize=1)
def validators() -> Mapping[str, Draft202012Validator]:
    return {kind: Draft202012Validator(_strict(_schema(crd), root=True)) for kind, crd in crds().items()}


@lru_cache(maxsize=1)
def types() -> Mapping[str, Any]:
    return {kind: type_of(_strict(_schema(crd), root=True), kind) for kind, crd in crds().items()}


#: How patterns of names begin in the CRDs: for them a sentence of their own is clearer than the field's description.
_OBJECT, _REPOSITORY, _KEY = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.]", "^[a-z]([-a-z0-9]*[a-z0-9])?", "^([-._a-zA-Z0-9]+)?"
_LABEL = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?"
_LINE = r"^[^\x00-\x1f\x7f]+"


def _fits(obj: dict[str, Any], kind: str) -> bool:
    """True where nothing is wrong for certain: most objects, and quickly."""
    try:
        msgspec.convert(obj, types()[kind])
    except (msgspec.ValidationError, ValueError, RecursionError):
        return False
    return True


class Seen(msgspec.Struct, frozen=True):
    """What the schema says of an object: the *obj* that rules may look at, and its faults.

    *unread* are the fields that are out of bounds, UNREAD in *obj*; *more* counts faults besides those listed.
    """

    obj: Any
    faults: list[Fault]
    unread: frozenset[str] = frozenset()
    more: int = 0
    too_large: bool = False  # the one fault is its size, and no rule is to look at it


def schema_faults(obj: Any) -> list[Fault]:
    """What the schema of *obj*'s kind says against it. `status` is ours and is not looked at."""
    return look(obj).faults


def look(obj: Any) -> Seen:
    """*obj* held against the schema of its kind, sizes first. `status` is ours and is not looked at."""
    if not isinstance(obj, dict):
        return Seen(
            obj, [Fault("", _brief(obj), "must be an object with apiVersion, kind, metadata and spec", "schema")]
        )
    version, kind = obj.get("apiVersion"), obj.get("kind")
    faults = []
    if version != API_VERSION:
        faults.append(Fault("apiVersion", _brief(version), f"must be {API_VERSION}", "schema"))
    if not isinstance(kind, str) or kind not in validators():
        message = f"must be one of {', '.join(registry.BY_NAME)} (group {GROUP})"
        return Seen(obj, [*faults, Fault("kind", _brief(kind), message, "schema")])
    seen = {key: value for key, value in obj.items() if key != "status"}
    if _fits(seen, kind):
        return Seen(obj, faults)
    size = bounds.size_of(obj)
    if size > bounds.MOST_BYTES:
        return Seen(obj, [bounds.too_large(size)], too_large=True)
    validator = validators()[kind]
    small = bounds.bounded(seen, cast(dict[str, Any], validator.schema))
    faults += small.faults
    for error in validator.iter_errors(small.obj):
        faults += _faults(error)
    unread = frozenset(fault.field for fault in small.faults)
    status = {"status": obj["status"]} if "status" in obj else {}
    return Seen(small.obj | status, _unique(faults), unread, small.unknown)


def field_path(path: Iterator[Any] | list[Any]) -> str:
    """As Kubernetes writes it: spec.options[1]."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def with_defaults(obj: dict[str, Any]) -> dict[str, Any]:
    """A copy of *obj* with the defaults that the API server would fill in; for `lint`. Shapes may be wrong."""
    kind = obj.get("kind")
    crd = crds().get(kind) if isinstance(kind, str) else None
    copy: dict[str, Any] = json.loads(json.dumps(obj))
    if crd is not None:
        _fill(copy, _schema(crd))
    return copy


def _schema(crd: Mapping[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def _strict(schema: Mapping[str, Any], *, root: bool = False) -> dict[str, Any]:
    """The same schema as JSON Schema: unknown fields are faults, and patterns end where the text ends."""
    strict = {
        key: value for key, value in schema.items() if not key.startswith("x-") and key not in {"default", "format"}
    }
    strict[_MARK] = schema.get("description", "")
    if "properties" in schema:
        fields = {
            name: _strict(child) for name, child in schema["properties"].items() if not (root and name == "status")
        }
        strict["properties"] = fields
        strict.setdefault("additionalProperties", False)
    if isinstance(strict.get("additionalProperties"), dict):
        strict["additionalProperties"] = _strict(strict["additionalProperties"])
    if "items" in schema:
        strict["items"] = _strict(schema["items"])
    if str(strict.get("pattern", "")).endswith("$"):
        strict["pattern"] = strict["pattern"][:-1] + r"\Z"  # Python's $ lets a line break pass, Go's does not
    return strict


def _fill(value: Any, schema: Mapping[str, Any]) -> None:
    if isinstance(value, list) and "items" in schema:
        for item in value:
            _fill(item, schema["items"])
    if not isinstance(value, dict):
        return
    for name, child in schema.get("properties", {}).items():
        if name not in value and "default" in child:
            value[name] = json.loads(json.dumps(child["default"]))
        if name in value:
            _fill(value[name], child)


def _faults(error: ValidationError) -> Iterator[Fault]:
    path: list[Any] = list(error.absolute_path)
    schema: Any = error.schema
    instance: Any = error.instance
    if error.validator == "required":
        for name in sorted(set(schema["required"]) - set(instance)):
            about = schema["properties"][name].get(_MARK, "")
            yield Fault(field_path([*path, name]), None, f"is required: {_lower(about)}", "schema")
    elif error.validator == "additionalProperties":
        known = sorted(schema.get("properties", {}))
        for name in sorted(set(instance) - set(known), key=str):
            where = field_path(path) or "the object"
            yield Fault(field_path([*path, name[:100]]), _brief(instance[name]), _unknown(name, known, where), "schema")
    else:
        yield Fault(field_path(path), _brief(error.instance), _message(error, schema), "schema")


def _unknown(name: str, known: list[str], where: str) -> str:
    lower = {field.lower(): field for field in known}
    meant = near(name[:100].lower(), list(lower))
    if meant:
        return f"is not a field of {where}; did you mean {lower[meant[0]]}?"
    return f"is not a field of {where}; allowed are {', '.join(known)}"


def _message(error: ValidationError, schema: Mapping[str, Any]) -> str:
    bound: Any = error.validator_value
    match error.validator:
        case "enum":
            return "must be one of " + ", ".join(str(value) for value in bound if value != "")
        case "type":
            return f"must be {_TYPES.get(str(bound), str(bound))}, not {_kind_of(error.instance)}"
        case "minimum" | "maximum":
            return _between(schema)
        case "minLength":
            return "must not be empty" if bound == 1 else f"must have at least {bound} characters"
        case "anyOf":
            return "must be a quantity such as 500m or 1Gi"
        case "pattern" if str(bound).startswith(_OBJECT):
            return "must be an object name: lower-case letters, digits, - and ., a letter or digit at both ends"
        case "pattern" if str(bound).startswith(_REPOSITORY):
            return "must be a Repository name: lower-case letters, digits and -, beginning with a letter"
        case "pattern" if str(bound).startswith(_LABEL):
            return "must be a name: lower-case letters, digits and -, a letter or digit at both ends"
        case "pattern" if str(bound).startswith(_LINE):
            return "must be one line without control characters"
        case "pattern" if str(bound).startswith(_KEY):
            return "must be a Secret key: letters, digits, -, _ and ."
        case _:
            return f"is not well-formed: {_lower(schema.get(_MARK, ''))}"


def _between(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"must be between {low} and {high}"
    return f"must be at least {low}" if low is not None else f"must be at most {high}"


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    return _TYPES["string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"]


def _lower(sentence: str) -> str:
    """A description as the end of a sentence."""
    text = sentence.rstrip(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def _brief(value: Any) -> Any:
    if isinstance(value, str):
        return brief(value, 200)
    return value if value is None or isinstance(value, bool | int | float) else f"({_kind_of(value)})"


def _unique(faults: list[Fault]) -> list[Fault]:
    """The first fault of each field, in order: `a bad pattern` adds nothing to `too long`."""
    seen: dict[str, Fault] = {}
    for fault in faults:
        seen.setdefault(fault.field, fault)
    return sorted(seen.values(), key=lambda fault: fault.field)
