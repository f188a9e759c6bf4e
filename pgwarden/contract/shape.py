"""The base of all that comes over the wire: camelCase there; times and counts as a status can take them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from pgwarden.api.records import check_times

#: RFC 3339, of any precision.
Time = Annotated[str, msgspec.Meta(pattern=r"^[0-9-]{10}T[0-9:]{8}(\.[0-9]{1,9})?(Z|[+-][0-9:]{5})\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Shape(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    def __post_init__(self) -> None:
        check_times(self)
