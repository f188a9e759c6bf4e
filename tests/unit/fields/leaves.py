"""The fields of each kind's spec, as the CRDs have them: each leaf by its path, such as `local.size`."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pgwarden.api.registry import KINDS

CRDS = Path(__file__).parents[3] / "crds"
Spec = dict[str, Any]
UNSET = object()


def of(kind: str) -> list[str]:
    """Lists and free maps are leaves: their whole value changes."""
    document = yaml.safe_load((CRDS / f"{kind.lower()}.yaml").read_text(encoding="utf-8"))
    (version,) = document["spec"]["versions"]
    return list(_leaves(version["schema"]["openAPIV3Schema"]["properties"]["spec"], ()))


def _leaves(schema: Spec, path: tuple[str, ...]) -> Iterator[str]:
    for name, inner in (schema.get("properties") or {}).items():
        yield from _leaves(inner, (*path, name))
    if not schema.get("properties"):
        yield ".".join(path)


def kinds() -> list[str]:
    return [one.name for one in KINDS]


def put(spec: Spec, path: str, value: Any) -> Spec:
    """*spec* with *value* at *path*; without it where that is UNSET."""
    made = copy.deepcopy(spec)
    *folders, last = path.split(".")
    inside = made
    for name in folders:
        inside = inside.setdefault(name, {}) if value is not UNSET else inside.get(name, {})
    if value is UNSET:
        inside.pop(last, None)
    else:
        inside[last] = copy.deepcopy(value)
    return made


def at(spec: Spec, path: str) -> Any:
    found: Any = spec
    for name in path.split("."):
        found = found.get(name, UNSET) if isinstance(found, dict) else UNSET
    return found
