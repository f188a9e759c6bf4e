"""Whether somebody still archives into a repository that is to be taken over. Pure.

Two servers that write into one archive are worse than none, and a recovered copy has the identity of the first: nothing
in pgBackRest would tell the two apart. What can be seen is that WAL came a moment ago. Who is idle, or cut off from the
storage at this moment, cannot be seen: see docs/restore.md.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from controller.recovery.hindrance import Hindrance, not_yet
from pgwarden.api import names
from pgwarden.api.target import parse_time
from pgwarden.contract.calls import NewestWal
from pgwarden.pgbackrest.info import Info

#: No WAL for so long: twice the archive_timeout that a busy server keeps.
QUIET = timedelta(minutes=2)
ARCHIVES, UNKNOWN = "FormerOwnerArchives", "FormerOwnerUnknown"


def hindrance(info: Info, newest: NewestWal | None, now: datetime) -> Hindrance | None:
    """Why the data in the repository is not taken over now. *newest* None: it could not be asked for."""
    if newest is None or not newest.ok:
        why = f": {newest.error}" if newest is not None and newest.error else ""
        return not_yet(UNKNOWN, f"it cannot be told whether its former owner still archives{why}")
    times = [parse_time(newest.time)] if newest.time else []
    last = max([*times, *(one.stop for one in info.backups)], default=None)
    if last is None or now - last > QUIET:
        return None
    return not_yet(
        ARCHIVES,
        f"{_owner(info)} archived into it at {last:%Y-%m-%dT%H:%M:%SZ} and may still be alive: two servers must not "
        f"write into one archive. Stop that one for good; this goes on once nothing has come for "
        f"{QUIET.total_seconds():.0f} s",
    )


def _owner(info: Info) -> str:
    """By the newest set that says for whom it was made."""
    key = names.PGBACKREST_ANNOTATION_REPOSITORY
    named = next((one.annotations[key] for one in reversed(info.backups) if one.annotations.get(key)), "")
    of = f" (Repository {named[:120]})" if named else ""
    return f"PostgreSQL cluster {info.system_id}{of}"
