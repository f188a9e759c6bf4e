"""What `info` may say of a backup set: backup.info is written by whoever may write to the storage.

Its words go to a status, to metrics and to terminals, and its numbers to an API server that takes 64 bits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

TYPES = frozenset({"full", "diff", "incr"})
#: A label, a WAL segment or an LSN.
_WORD = re.compile(r"[A-Za-z0-9_/.-]{0,64}")
_MOST = 2**63 - 1
#: Characters of an annotation's name and value. `--annotation` of ours takes fewer.
_ANNOTATION = 4096


class Set(Protocol):
    """A backup set, as `info` has it."""

    @property
    def label(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def prior(self) -> str: ...
    @property
    def wal_start(self) -> str: ...
    @property
    def wal_stop(self) -> str: ...
    @property
    def lsn_start(self) -> str: ...
    @property
    def lsn_stop(self) -> str: ...
    @property
    def database_size(self) -> int: ...
    @property
    def database_delta(self) -> int: ...
    @property
    def repository_delta(self) -> int: ...


def is_plain(one: Set) -> bool:
    """Whether pgBackRest may have made it."""
    words = (one.label, one.prior, one.wal_start, one.wal_stop, one.lsn_start, one.lsn_stop)
    sizes = (one.database_size, one.database_delta, one.repository_delta)
    return (
        bool(one.label)
        and one.type in TYPES
        and all(isinstance(word, str) and _WORD.fullmatch(word) for word in words)
        and all(0 <= size <= _MOST for size in sizes)
    )


def lines(found: Mapping[Any, Any]) -> dict[str, str]:
    """Of one line each. Anybody may annotate a set: what is none of ours is left out, and the set stands."""
    texts = {str(key): str(value) for key, value in found.items()}
    return {key: value for key, value in texts.items() if _is_line(key) and _is_line(value)}


def _is_line(text: str) -> bool:
    return len(text) <= _ANNOTATION and text.isprintable()


def told(strange: int) -> str:
    """Why a storage is not read."""
    sets = "a backup set" if strange == 1 else f"{strange} backup sets"
    return f"backup.info names {sets} that pgBackRest did not write: somebody else has changed it"
