"""Kubernetes quantities (`10Gi`, `1500m`, `1e3`) as exact numbers."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

_FORM = re.compile(
    r"([+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30}))(?:([eE][+-]?[0-9]{1,2})|([numkMGTPE]|[KMGTPE]i)?)"
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {f"{letter}i": 10 * power for power, letter in enumerate("KMGTPE", 1)}


def parse_quantity(value: Any) -> Fraction | None:
    """None where *value* is no quantity."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Fraction(value)
    match = _FORM.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    exponent, suffix = match[2], match[3] or ""
    number = Fraction(match[1]) if "." in match[1] else int(match[1])  # a whole one is multiplied much faster
    if exponent:
        return number * _power_of_ten(int(exponent[1:]))
    if suffix in _BINARY:
        return Fraction(number * (1 << _BINARY[suffix]))
    return number * _power_of_ten(_DECIMAL[suffix])


def _power_of_ten(power: int) -> Fraction:
    return Fraction(10**power) if power >= 0 else Fraction(1, 10**-power)


def size(count: Any) -> str:
    """Bytes in binary units, for people; empty where *count* is no number."""
    if not isinstance(count, int):
        return ""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return ""
