"""Lengths of time in a spec, as Kubernetes writes them: 45s, 30m, 10h, 1h30m, 2d. Pure."""

from __future__ import annotations

import re
from datetime import timedelta

FORM = "a length of time such as 30m, 10h or 1h30m"
#: For the CRDs' pattern as well.
PATTERN = r"^([0-9]{1,6}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"
_UNITS = (86_400, 3600, 60, 1)


def parse(text: str) -> timedelta | None:
    """None where *text* is none; an empty one is none."""
    found = re.fullmatch(PATTERN.strip("^$"), text, re.ASCII) if text else None
    if found is None:
        return None
    parts = [int(part[:-1]) if part else 0 for part in found.groups()]
    return timedelta(seconds=sum(number * unit for number, unit in zip(parts, _UNITS, strict=True)))


def told(length: timedelta) -> str:
    """In its two largest units: 1h 20m."""
    rest, parts = int(length.total_seconds()), []
    for unit, size in zip("dhms", _UNITS, strict=True):
        if rest >= size:
            parts.append(f"{rest // size}{unit}")
        rest %= size
    return " ".join(parts[:2]) or "no time"
