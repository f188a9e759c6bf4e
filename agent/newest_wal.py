"""When WAL came last into a repository: the newest file in the archive's last folder. Pure.

pgBackRest's `info` names the newest segment and not its time; the storage knows that, and `repo-ls` tells it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pgwarden.api import outside
from pgwarden.contract.calls import NewestWal

_ID = re.compile(r"[0-9]{1,3}(\.[0-9]{1,2})?-[0-9]{1,6}")
_SEGMENT = re.compile(r"[0-9A-F]{24}")
#: Bytes of one listing: a folder has 256 segments, and what else came meanwhile.
MOST = 1024 * 1024


def folders(info: dict[str, Any], stanza: str) -> Iterator[tuple[int, str]]:
    """Number of the storage and its last folder of WAL, for each archive in `info`. ValueError where it is none."""
    for one in info.get("archive") or []:
        try:
            repo, archive, newest = int(one["database"]["repo-key"]), str(one["id"]), str(one.get("max") or "")
        except (KeyError, TypeError) as error:
            raise ValueError("info's archive cannot be read") from error
        if not newest:
            continue
        if not (_ID.fullmatch(archive) and _SEGMENT.fullmatch(newest)):
            raise ValueError(f"info's archive is named {archive[:40]!r} and ends at {newest[:40]!r}")
        yield repo, f"archive/{stanza}/{archive}/{newest[:16]}"


def of(listing: str) -> NewestWal:
    """The newest file of what `repo-ls --output=json` prints. ValueError where it is not that."""
    found = outside.decode_loose(listing, most=MOST)
    if not isinstance(found, dict):
        raise ValueError("its output cannot be read")  # noqa: TRY004  it is text from outside
    times = {
        str(name): one["time"]
        for name, one in found.items()
        if isinstance(one, dict) and one.get("type") == "file" and isinstance(one.get("time"), int)
    }
    if not times:
        return NewestWal(ok=True)
    name = max(times, key=lambda one: times[one])
    try:
        at = datetime.fromtimestamp(times[name], UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"{name[:60]!r} has no time of the calendar") from error
    return NewestWal(ok=True, wal=name.partition("-")[0][:24], time=f"{at:%Y-%m-%dT%H:%M:%SZ}")


def later(one: NewestWal, other: NewestWal) -> NewestWal:
    return max(one, other, key=lambda found: found.time or "")
