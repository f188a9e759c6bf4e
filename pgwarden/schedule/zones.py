"""Time zones by their IANA names."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from pgwarden.api.near import near


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
    meant = _like(name)
    hint = f"; did you mean {meant}?" if meant else ""
    return f"is not an IANA time zone such as UTC or Europe/Zurich{hint}"


def _like(name: str) -> str:
    lower, short = _lower(), name[:64].lower()
    meant = near(short, list(lower), cutoff=0.75)
    if meant:
        return lower[meant[0]]
    return next((known for key, known in lower.items() if key.rsplit("/", 1)[-1] == short), "")


@lru_cache(maxsize=1)
def _lower() -> dict[str, str]:
    return {known.lower(): known for known in sorted(_known())}


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    # "localtime" and "Factory" are files in some systems' folders, not places.
    return frozenset(available_timezones() - {"localtime", "Factory", "posixrules"})
