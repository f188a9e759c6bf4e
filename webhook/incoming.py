"""Objects as they arrive: their size first, and of what is large only the parts that the rules are about.

What an existing object carries besides its spec (a status with thousands of backups, managedFields) must not be in the
way of its next change, and what was admitted once must stay changeable and deletable.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pgwarden.api import outside
from pgwarden.api.bounds import MOST_BYTES, too_large
from pgwarden.api.faults import Fault
from pgwarden.api.objects import Object

MOST_POD = 1024 * 1024  # bytes: etcd takes 1.5 MiB, with what is injected and what the API server adds
_MOST_VALUES = 100_000  # of JSON; the status of a Repository with 3000 backups, which etcd just takes, has half of it
_NOTHING = msgspec.Raw(b"null")
_decode = msgspec.json.Decoder(Object).decode
_decode_any = msgspec.json.Decoder(Any).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Parts(msgspec.Struct, frozen=True):
    metadata: msgspec.Raw = _NOTHING
    spec: msgspec.Raw = _NOTHING
    status: msgspec.Raw = _NOTHING


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    managed_fields: msgspec.Raw = _NOTHING
    deletion_timestamp: msgspec.Raw = _NOTHING


_decode_parts = msgspec.json.Decoder(_Parts).decode
_decode_metadata = msgspec.json.Decoder(_Metadata).decode


def change(new: msgspec.Raw, old: msgspec.Raw | None) -> tuple[Object, Object | None] | Fault | None:
    """The object and the one before it (None: it is new) as the rules read them.

    A Fault where the new one is too large; None where the change is none that rules are about. ValueError where either
    is no object.
    """
    if _size(new) <= MOST_BYTES and (old is None or _size(old) <= MOST_BYTES):
        return _decode(new), None if old is None else _decode(old)
    after, before = _Large(new), None if old is None else _Large(old)
    if before is not None and before.going:
        return None
    # The status of a new object is its user's, that of an old one is ours.
    counted = after.own if before is not None else after.own + after.status
    same = before is not None and before.spec == after.spec != b"null"
    if same and (counted <= MOST_BYTES or (before is not None and before.own > MOST_BYTES)):
        return None
    if counted > MOST_BYTES:
        return too_large(counted)
    return after.read(), None if before is None else before.read(status=True)


def known(old: msgspec.Raw) -> Object:
    """An object that the API server has, of any size."""
    return _decode(old) if _size(old) <= MOST_BYTES else _Large(old).read(status=True)


def pod_fault(pod: msgspec.Raw) -> Fault | None:
    """Why *pod* is not looked into; None for nearly all."""
    if _size(pod) > MOST_POD:
        message = "the pod has more than 1 MiB and might not fit in etcd after the injection; make it smaller"
        return Fault("spec", None, message, "size")
    if outside.values(bytes(pod)) > _MOST_VALUES:
        return Fault("spec", None, f"the pod has more than {_MOST_VALUES} values; make it smaller", "size")
    return None


class _Large:
    """An object that is not decoded yet. `own` and `status` are bytes, `own` without managedFields and status."""

    def __init__(self, raw: msgspec.Raw) -> None:
        parts = _decode_parts(raw)
        metadata = _decode_metadata(parts.metadata) if _is_object(parts.metadata) else _Metadata()
        self.spec = bytes(parts.spec)
        self.status = _size(parts.status)
        self.own = _size(raw) - self.status - _size(metadata.managed_fields)
        self.going = bytes(metadata.deletion_timestamp) != b"null"
        self._raw, self._parts = raw, parts

    def read(self, *, status: bool = False) -> Object:
        """Its fields, but for managedFields; what is beyond all measure is left out."""
        if self.own <= MOST_BYTES:
            fields = _decode_fields(self._raw)
        else:
            fields = {"metadata": self._parts.metadata, "spec": self._parts.spec, "status": self._parts.status}
        if not status:
            fields.pop("status", None)
        found = {name: _value(raw) for name, raw in fields.items() if name != "metadata"}
        if _is_object(fields.get("metadata", _NOTHING)):
            metadata = _decode_fields(fields["metadata"])
            metadata.pop("managedFields", None)
            found["metadata"] = {name: _value(raw) for name, raw in metadata.items()}
        return {name: value for name, value in found.items() if value is not None}


def _value(raw: msgspec.Raw) -> Any:
    text = bytes(raw)
    return _decode_any(text) if len(text) <= MOST_BYTES or outside.values(text) <= _MOST_VALUES else None


def _is_object(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:1]) == b"{"


def _size(raw: msgspec.Raw) -> int:
    return memoryview(raw).nbytes
