"""What a repository host says of the WAL in each storage: `Status.archives`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from pgwarden.contract.shape import Count, Shape, Time

MOST_GAPS = 10  # of each storage: the newest

Segment = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-F]{24}\Z")]


class Gap(Shape, frozen=True, kw_only=True):
    """WAL that is not in a storage, though later WAL of the same history is."""

    missing: Segment  # the first that is missing
    segments: Count  # how many are
    next: Segment  # the first that is there again
    until: Time  # when the last one before was archived: recovery across the gap ends there


class Archive(Shape, frozen=True, kw_only=True):
    repo: Annotated[int, msgspec.Meta(ge=1, le=256)]  # pgBackRest's number of the storage
    complete: bool = False  # whether all of it was listed; until then only what was listed is compared
    gaps: Annotated[tuple[Gap, ...], msgspec.Meta(max_length=MOST_GAPS)] = ()  # oldest first
