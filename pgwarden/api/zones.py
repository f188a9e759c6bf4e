"""Time zones by their IANA names."""

from __future__ import annotations

import difflib
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones


def zone_of(name: str) -> ZoneInfo:
    """ValueError, with the way out, where there is no such zone."""
    problem = zone_problem(name)
    if problem:
        raise ValueError(f"{name}: {problem}")
    return ZoneInfo(name)


def zone_problem(name: str) -> str:
    """Empty where *name* is a zone. Looked up in a list, never as a path: names come from users."""
    if name in _known():
        return ""
    near = _like(name)
    hint = f"; did you mean {near}?" if near else ""
    return f"is not an IANA time zone such as UTC or Europe/Zurich{hint}"


def _like(name: str) -> str:
    lower = {known.lower(): known for known in sorted(_known())}
    near = difflib.get_close_matches(name[:64].lower(), lower, n=1, cutoff=0.75)
    if near:
        return lower[near[0]]
    return next((known for key, known in lower.items() if key.rsplit("/", 1)[-1] == name[:64].lower()), "")


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    # "localtime" and "Factory" are files in some systems' folders, not places.
    return frozenset(available_timezones() - {"localtime", "Factory", "posixrules"})
