"""global/pg_control, read as it lies there: not every image has pg_controldata. Pure.

The layout (catalog/pg_control.h) is the same from PostgreSQL 13 to 18 on 64-bit machines, in the machine's own byte
order. That it is this one is seen by floatFormat, a constant that PostgreSQL keeps in it for this purpose.
"""

from __future__ import annotations

import struct

from agent.recovery.settings import Control

_VERSIONS = {1300, 1800}
_FLOAT_AT, _FLOAT = 208, 1234567.0
_WAL_LEVELS = ("minimal", "replica", "logical")
_STATES = (
    "starting up",
    "shut down",
    "shut down in recovery",
    "shutting down",
    "in crash recovery",
    "in archive recovery",
    "in production",
)
#: pg_controldata's name → offset, format.
_NUMBERS = {
    "Database system identifier": (0, "Q"),
    "Latest checkpoint's TimeLineID": (48, "I"),
    "max_connections setting": (180, "i"),
    "max_worker_processes setting": (184, "i"),
    "max_wal_senders setting": (188, "i"),
    "max_prepared_xacts setting": (192, "i"),
    "max_locks_per_xact setting": (196, "i"),
    "Bytes per WAL segment": (228, "I"),
}
_FLAGS = {"wal_log_hints setting": 176, "track_commit_timestamp setting": 200}


def parse(content: bytes) -> Control | None:
    """What pg_controldata would say of it; None where it is of another layout."""
    try:
        (version,) = struct.unpack_from("=I", content, 8)
        (constant,) = struct.unpack_from("=d", content, _FLOAT_AT)
        (state,) = struct.unpack_from("=I", content, 16)
        (level,) = struct.unpack_from("=I", content, 172)
        if version not in _VERSIONS or constant != _FLOAT or state >= len(_STATES) or level >= len(_WAL_LEVELS):
            return None
        found = {name: str(struct.unpack_from(f"={kind}", content, at)[0]) for name, (at, kind) in _NUMBERS.items()}
        found |= {name: "on" if content[at] else "off" for name, at in _FLAGS.items()}
    except (struct.error, IndexError):
        return None
    return Control(found | {"Database cluster state": _STATES[state], "wal_level setting": _WAL_LEVELS[level]})
