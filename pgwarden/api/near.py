"""Which of the known names a user may have meant: what it costs is bounded, however long and many names are."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

LONGEST = 63  # characters of a name that are compared
MOST = 200  # names that it is compared with


def near(name: str, known: Sequence[str], most: int = 1, cutoff: float = 0.6) -> list[str]:
    """At most *most* of *known* that are like *name*, the best first. Of many, those that begin alike are compared."""
    short = name[:LONGEST]
    names = known if len(known) <= MOST else _alike(short, known)
    return difflib.get_close_matches(short, names, n=most, cutoff=cutoff)


def _alike(name: str, known: Sequence[str]) -> list[str]:
    """Those that begin with the same three letters, then those with the same first one, then others."""
    ranks: tuple[list[str], ...] = ([], [], [])
    for each in known:
        ranks[0 if each[:3] == name[:3] else 1 if each[:1] == name[:1] else 2].append(each)
    return [*ranks[0], *ranks[1], *ranks[2]][:MOST]
