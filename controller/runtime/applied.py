"""What was applied last, so that a look that changes nothing writes nothing."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import msgspec

from pgwarden.api.objects import Object
from pgwarden.kube.cache import Key


class Applied:
    """Digests of objects, kept by their owner: with that they go."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[Key, dict[str, tuple[str, float]]] = {}

    def age(self, path: str, obj: Object) -> float | None:
        """Seconds since *obj* was noted as what is at *path*; None where that was never, or something else."""
        digest, noted_at = self._known.get(_owner(obj), {}).get(path, ("", 0.0))
        return self._clock() - noted_at if digest == _digest(obj) else None

    def note(self, path: str, obj: Object) -> None:
        self._known.setdefault(_owner(obj), {})[path] = _digest(obj), self._clock()

    def forget(self, owner: Key) -> None:
        self._known.pop(owner, None)


def _owner(obj: Object) -> Key:
    metadata = obj["metadata"]
    return metadata["namespace"], metadata["ownerReferences"][0]["name"]


def _digest(obj: Object) -> str:
    return hashlib.sha256(msgspec.json.encode(obj)).hexdigest()
