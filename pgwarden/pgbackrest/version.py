"""pgBackRest's version, by which two of its processes on different machines accept or refuse each other. Pure.

The whole of it has to be the same: `expected value '2.60.0' for greeting key 'version' but got '2.59.0'`.
"""

from __future__ import annotations

import re

_PLAUSIBLE = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+~-]{0,31}")


def told(output: str) -> str:
    """`2.60` of `pgBackRest 2.60.0`, what `pgbackrest version` prints; empty where it prints nothing."""
    words = output.split()
    return words[-1].removesuffix(".0") if words else ""


def believed(text: str | None) -> str:
    """What an agent tells, who runs where others have a say; empty where it is no version."""
    return text if text and _PLAUSIBLE.fullmatch(text) else ""
