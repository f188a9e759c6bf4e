"""Every field of every kind at its worst, made from the CRDs: a field that is added one day is covered by itself."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from bench.webhook import shapes
from pgwarden.api.registry import BY_NAME as KINDS
from pgwarden.api.schema import crds

Path = tuple[str | int, ...]
#: Bytes: nearly as much as an object of ours may have, and as much as the API server takes of a user.
SIZES = {"just below 256 KiB": 250_000, "3 MiB": 3 * 1024 * 1024 - 2000}
#: Texts that are slow to read, or that make many faults: what is repeated to fill a size.
TEXTS = {
    "one long word": "x",
    "short options": "--a=1 ",
    "misspelt options": "--process-maxx=1 ",
    "quoted pairs": "'a b' ",
    "a word of many quotes": "a''\"\"",
    "escapes": "\\\\",
    "open references": "$(",
    "references": "$(A)",
    "commas": "1,",
    "fields of a schedule": "*/7 ",
    "dashes": "a-",
    "dots and slashes": "../",
    "elephants": "🐘é\u2028",
    "control characters": "\x01\n",
    "digits": "9",
}
Value = Callable[[int], Any]


def _text(piece: str) -> Value:
    return lambda size: piece * (size // len(json.dumps(piece)[1:-1]))


def _quoted(size: int) -> str:
    return f"--annotation='a={'x' * size}'"


VALUES: dict[str, Value] = {
    **{name: _text(piece) for name, piece in TEXTS.items()},
    "one quoted word": _quoted,
    "many texts": lambda size: ["--process-maxx=1"] * (size // 20),
    "many distinct texts": lambda size: [f"hipp{number}" for number in range(size // 14)],
    "many numbers": lambda size: [1] * (size // 3),
    "many lists": lambda size: [[]] * (size // 4),
    "many objects": lambda size: [{"name": "a"}] * (size // 15),
    "many names": lambda size: {f"a{number}": 1 for number in range(size // 14)},
    "many names of objects": lambda size: {f"max_connection{number}": {} for number in range(size // 28)},
    "near-miss names": lambda size: {f"storageTyp{number}": "x" for number in range(size // 24)},
    "one long name": lambda size: {"x" * size: 1},
    "a number without an end": lambda size: int("9" * min(size, 4000)),
    "nesting": lambda size: json.loads("[" * 900 + "]" * 900),
}
SPECS: dict[str, Any] = {
    "Repository": {"storageType": "local,s3", "s3": {"bucket": "b-1", "endpoint": "minio:9000", "region": "x", "credentialsSecretRef": {"name": "s"}}},
    "Backup": {"repository": "hippo"},
    "BackupSchedule": {"repository": "hippo", "schedule": "0 1 * * *"},
    "Restore": {"repository": "hippo"},
    "RestoreDrill": {"repository": "hippo"},
    "RestoreDrillSchedule": {"repository": "hippo", "schedule": "0 1 * * *"},
    "PostgresCluster": {"repository": {"storageType": "local"}, "dataSource": {"repository": "rhino"}},
}  # fmt: skip


def fields() -> list[tuple[str, Path]]:
    """Kind and path of every field, list entry and map entry; and of what Kubernetes has in every object.

    The status is one field: it is ours, and no user's comes further than the door.
    """
    found = []
    for kind in KINDS:
        schema = crds()[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        schema = schema | {"properties": schema["properties"] | {"status": {}}}
        found += [(kind, path) for path in _walk(schema, ())]
        found += [(kind, ("metadata", name)) for name in ("name", "generateName", "namespace", "labels", "annotations")]
    return found


def _walk(schema: dict[str, Any], path: Path) -> Iterator[Path]:
    if path:
        yield path
    for name, child in schema.get("properties", {}).items():
        yield from _walk(child, (*path, name))
    if isinstance(schema.get("items"), dict):
        yield from _walk(schema["items"], (*path, 0))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _walk(schema["additionalProperties"], (*path, "max_connections"))


def shown(path: Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def sound(kind: str) -> dict[str, Any]:
    metadata = {"name": "one", "namespace": shapes.NAMESPACE}
    return {
        "apiVersion": "pgwarden.io/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": copy.deepcopy(SPECS[kind]),
    }


def placed(kind: str, path: Path, value: Any) -> dict[str, Any]:
    """A sound object but for *value* at *path*."""
    obj = sound(kind)
    at: Any = obj
    for part, following in itertools.pairwise(path):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(part, int):
            at.append(empty)
            at = at[0]
        else:
            at[part] = at[part] if isinstance(at.get(part), type(empty)) else empty
            at = at[part]
    if isinstance(path[-1], int):
        at.append(value)
    else:
        at[path[-1]] = value
    return obj


_MARK = "\x02 here it is \x02"


@lru_cache(maxsize=64)
def written(name: str, size: int) -> bytes:
    """The value of that name as JSON."""
    return json.dumps(VALUES[name](size), ensure_ascii=False, separators=(",", ":")).encode()


def body(kind: str, path: Path, value: bytes, *, old: bytes = b"null", operation: str = "CREATE") -> bytes:
    """The review of a sound object but for *value* at *path*, and of *old*."""
    obj = json.dumps(placed(kind, path, _MARK)).encode()
    return review(obj.replace(json.dumps(_MARK).encode(), value), old, kind, operation)


def review(obj: bytes, old: bytes = b"null", kind: str = "Backup", operation: str = "CREATE") -> bytes:
    """As the API server writes it: the uid first."""
    request = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": "pgwarden.io", "version": "v1alpha1", "kind": kind},
        "name": "one",
        "namespace": shapes.NAMESPACE,
        "operation": operation,
        "userInfo": {"username": "u"},
    }
    head = json.dumps({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request})[:-2]
    return b'%b,"object":%b,"oldObject":%b}}' % (head.encode(), obj, old)
