"""How soon to look again at what does not change: soon at first, and then more and more seldom."""

from __future__ import annotations

from pgwarden.kube.cache import Key

#: After so many looks that found the same: at least these seconds until the next.
STEPS = ((200, 10.0), (20, 2.0))


class Patience:
    """What each key waits for, and how often that was found already."""

    def __init__(self) -> None:
        self._same: dict[Key, tuple[str, int]] = {}

    def wait(self, key: Key, what: str, seconds: float) -> float:
        """The seconds to wait for *what*: *seconds*, or more where it has been waited for long."""
        before, count = self._same.get(key, ("", 0))
        count = count + 1 if before == what else 1
        self._same[key] = what, count
        return max(seconds, next((least for looks, least in STEPS if count > looks), 0.0))

    def forget(self, key: Key) -> None:
        self._same.pop(key, None)
