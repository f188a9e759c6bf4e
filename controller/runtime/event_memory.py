"""What has been told of an object already, so that an Event is written once for each turn."""

from __future__ import annotations

import msgspec

from pgwarden.api.objects import Object
from pgwarden.kube.cache import Key


class EventMemory:
    """The status of each object that Events were written of last. A cache may still show the one from before it."""

    def __init__(self) -> None:
        self._last: dict[Key, tuple[str, bytes]] = {}  # encoded: a quarter of the memory

    def before(self, obj: Object, after: Object) -> Object:
        """The status to compare *after* with, which counts as told from here on."""
        metadata = obj["metadata"]
        key = metadata["namespace"], metadata["name"]
        uid, status = self._last.get(key, ("", b"{}"))
        self._last[key] = metadata["uid"], msgspec.json.encode(after)
        known: Object = msgspec.json.decode(status) if uid == metadata["uid"] else obj.get("status") or {}
        return known

    def forget(self, key: Key) -> None:
        self._last.pop(key, None)
