"""What has been told of an object already, so that an Event is written once for each turn."""

from __future__ import annotations

import zlib

import msgspec

from pgwarden.api.objects import Object
from pgwarden.kube.cache import Key


class EventMemory:
    """The status of each object that Events were written of last. A cache may still show the one from before it."""

    def __init__(self) -> None:
        self._last: dict[Key, tuple[str, bytes]] = {}  # packed: a twentieth of the memory

    def before(self, obj: Object, after: Object) -> Object:
        """The status to compare *after* with, which counts as told from here on."""
        metadata = obj["metadata"]
        key = metadata["namespace"], metadata["name"]
        last = self._last.get(key)
        self._last[key] = metadata["uid"], _pack(after)
        return _unpack(last[1]) if last and last[0] == metadata["uid"] else obj.get("status") or {}

    def forget(self, key: Key) -> None:
        self._last.pop(key, None)


def _pack(status: Object) -> bytes:
    return zlib.compress(msgspec.json.encode(status), 1)


def _unpack(packed: bytes) -> Object:
    found: Object = msgspec.json.decode(zlib.decompress(packed))
    return found
