"""What an object of ours names that its author must be allowed to use: Secrets, service accounts and images; and the
labels and annotations that it puts on pods. Pure.

Found by the types of its spec: every SecretKeyRef and SecretRef, and every field that is called as in
ACCOUNT_FIELDS, IMAGE_FIELDS or MARK_FIELDS. A test walks the CRDs for fields that are none of these and look as if
they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec

from pgwarden import storages
from pgwarden.api import outside, registry
from pgwarden.api.faults import brief
from pgwarden.api.kinds import Model, PostgresClusterSpec, RepositorySpec, SecretKeyRef, SecretRef
from pgwarden.api.objects import Object
from pgwarden.api.reading import get

ACCOUNT_FIELDS = frozenset({"serviceAccountName"})
IMAGE_FIELDS = frozenset({"image"})
#: Labels put a pod behind a Service; by annotations others choose what runs in it (a mesh, an injector).
MARK_FIELDS = {
    "podLabels": "label",
    "podAnnotations": "annotation",
    "labels": "label",
    "annotations": "annotation",
}
#: The account that pods run as which name none.
DEFAULT_ACCOUNT = "default"
_INDEX = re.compile(r"\[\d+\]")
_SHOWN = 80  # characters of a key


class What(StrEnum):
    SECRET = "Secret"  # noqa: S105  a kind
    ACCOUNT = "service account"
    IMAGE = "image"
    LABEL = "label"
    ANNOTATION = "annotation"


class Named(msgspec.Struct, frozen=True):
    field: str
    what: What
    name: str
    #: The key of a Secret, the cloud's role that an account takes, a label's value: another one makes it another use.
    part: str = ""

    @property
    def use(self) -> tuple[str, What, str, str]:
        """By which it is found again in another version of the object: entries of a list may have moved."""
        return _INDEX.sub("", self.field), self.what, self.name, self.part


def newly_named(obj: Object, old: Object | None) -> list[Named]:
    """What *obj* names and *old* did not, where it does. outside.UNREADABLE where the spec of *obj* is none of its
    kind; an *old* one that cannot be read named nothing.
    """
    found = list(named(obj))
    try:
        before = {one.use for one in named(old)} if old is not None else set()
    except outside.UNREADABLE:
        before = set()
    return [one for one in found if one.use not in before]


def named(obj: Object) -> Iterator[Named]:
    kind = registry.BY_NAME.get(get(obj, str, "kind") or "")
    if kind is None:
        raise ValueError("unknown kind")
    yield from _of(msgspec.convert(obj.get("spec") or {}, kind.spec), "spec")


def _of(value: Any, field: str) -> Iterator[Named]:
    if isinstance(value, SecretKeyRef):
        yield Named(f"{field}.name", What.SECRET, value.name, value.key)
    elif isinstance(value, SecretRef):
        yield Named(f"{field}.name", What.SECRET, value.name)
    elif isinstance(value, Model):
        yield from _of_model(value, field)
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            yield from _of(one, f"{field}[{number}]")


def _of_model(value: Model, field: str) -> Iterator[Named]:
    for inner in msgspec.structs.fields(value):
        found, path = getattr(value, inner.name), f"{field}.{inner.encode_name}"
        if inner.encode_name in IMAGE_FIELDS:
            if found:
                yield Named(path, What.IMAGE, found)
        elif inner.encode_name in MARK_FIELDS:
            what = What(MARK_FIELDS[inner.encode_name])
            yield from (Named(f"{path}.{brief(key, _SHOWN)}", what, key, one) for key, one in found.items())
        elif inner.encode_name in ACCOUNT_FIELDS:
            yield from _account(value, found, path)
        elif isinstance(value, PostgresClusterSpec) and inner.name == "repository":
            yield from _of(msgspec.convert(found, RepositorySpec), path)
        else:
            yield from _of(found, path)


def _account(beside: Model, name: str, field: str) -> Iterator[Named]:
    """One by which pods reach a storage is used where it is not named, too."""
    spec = beside if isinstance(beside, RepositorySpec) else RepositorySpec()
    if name or storages.uses_service_account(spec):
        yield Named(field, What.ACCOUNT, name or DEFAULT_ACCOUNT, storages.role(spec))
