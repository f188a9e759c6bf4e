"""Which majors of PostgreSQL a PostgresCluster can have, and which one the operator's own image has.

The CRD, the Dockerfile, the chart and the README repeat them; tests compare all of these with this module.
"""

from __future__ import annotations

OLDEST, NEWEST = 13, 18
#: Of a server that is not a PostgresCluster's.
OLDEST_FOREIGN = 14
#: Of the operator's image, and of a PostgresCluster that names none.
DEFAULT = 17


def major_of(version: str | None) -> int | None:
    """Of 17.5, 18beta1 or 17; None where it is not known, or of before 10, when two numbers made a major."""
    head = (version or "").partition(".")[0]
    digits = head[: next((at for at, one in enumerate(head) if not (one.isascii() and one.isdigit())), len(head))]
    return int(digits) if 1 < len(digits) < 4 else None
