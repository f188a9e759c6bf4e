"""spec.archiveTimeout of a Repository: after how long a segment that is not full is archived. Pure."""

from __future__ import annotations

import re

DEFAULT = "60s"
OFF = "off"
#: Seconds. Each switch archives a whole segment; above a day it would bound nothing that anybody counts on.
LEAST, MOST = 10, 24 * 3600
FORM = "must be a number of seconds, minutes or hours from 10s to 24h, such as 60s or 5min, or off to leave it alone"
_UNITS = {"": 1, "s": 1, "min": 60, "h": 3600}
_TEXT = re.compile(r"([0-9]{1,6}) ?(s|min|h)?")
#: How pgwarden writes it into postgresql.auto.conf. Nobody writes a minute as 60000ms: so it knows its own, also in a
#: data directory that was restored.
_OWN = re.compile(r"([1-9][0-9]{0,5})000ms")


def seconds(text: str) -> int | None:
    """0 where it is off; None where *text* says nothing that can be taken."""
    if text in {OFF, "0"}:
        return 0
    found = _TEXT.fullmatch(text)
    value = int(found[1]) * _UNITS[found[2] or ""] if found else 0
    return value if LEAST <= value <= MOST else None


def written(value: int) -> str:
    return f"{value}000ms"


def own(text: str | None) -> int | None:
    """The seconds of what pgwarden has written; None of what somebody else has."""
    found = _OWN.fullmatch(text or "")
    return int(found[1]) if found else None
