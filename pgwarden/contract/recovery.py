"""How a recovery stands: what the agent in its Job's pod answers (`Status.recovery`), for both sides.

A recovery fills a new volume by `pgbackrest restore`, starts the workload's own PostgreSQL on it where nobody reaches
it, replays WAL to the target, promotes, and shuts down cleanly. Its end is the Job's `JobResult`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from pgwarden.contract.shape import Count, Shape, Time

#: In this order. FOLLOWING: all archived WAL is replayed, and it waits for more until `calls.recovery_finish()`.
COPYING, STARTING, REPLAYING, FOLLOWING, PROMOTING, STOPPING = (
    "Copying", "Starting", "Replaying", "Following", "Promoting", "Stopping",
)  # fmt: skip
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]


class Recovery(Shape, frozen=True, kw_only=True):
    phase: str = ""  # one of the above; empty before the first
    set: str | None = None  # label of the backup set that is, or was, copied
    copied_percent: Percent | None = None
    copied_bytes: Count | None = None
    segment: str | None = None  # the WAL file that was replayed last
    segments: Count | None = None  # how many were replayed
    remaining: Count | None = None  # how many the archive still has before its end, where that is known
    rate: float | None = None  # segments in a second, of the last minute
    last_replay_time: Time | None = None  # of the last commit that was replayed, where it is known
    advanced: Time | None = None  # when it moved last
    reason: str | None = None  # CamelCase: what stands in the way at this moment (and may pass)
    message: str | None = None  # the same as a sentence
    log: tuple[str, ...] = ()  # the last lines of PostgreSQL's or pgBackRest's log
