"""The forms of a recovery target: times, WAL positions, transaction ids."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?)?", re.ASCII
)
_SEGMENT = re.compile(r"[0-9A-F]{24}")
_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


class TargetError(ValueError):
    """Not a valid target; the text says what is wrong."""


def parse_time(text: str) -> datetime:
    """RFC 3339, or the form PostgreSQL writes (`2026-11-23 10:00:00+00`), with a mandatory zone → UTC."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise TargetError("must be a time such as 2026-11-23T10:00:00Z or 2026-11-23 10:00:00+00")
    *numbers, fraction, zulu, sign, hours, minutes = match.groups()
    if not zulu and not sign:
        raise TargetError(f"has no time zone; write {text}Z for UTC, or an offset such as {text}+01:00")
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    # PostgreSQL knows microseconds: further digits are cut, never rounded up past what the user named.
    micro = int((fraction or "0").ljust(6, "0")[:6])
    try:
        year, month, day, hour, minute, second = (int(number) for number in numbers)
        return datetime(year, month, day, hour, minute, second, micro, timezone(offset)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise TargetError(f"is not a valid date and time ({error})") from None


def pgbackrest_time(text: str) -> str:
    """The same moment as pgBackRest and PostgreSQL read it, always in UTC."""
    moment = parse_time(text)
    fraction = f".{moment.microsecond:06d}" if moment.microsecond else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction}+00"


def whole_second(text: str) -> datetime:
    """As pgBackRest takes a repo-target-time: it leaves fractions of a second out."""
    return parse_time(text).replace(microsecond=0)


def parse_lsn(text: str) -> int:
    """The position as a number, for comparing two."""
    match = _LSN.fullmatch(text)
    if match is None:
        raise TargetError("must be a WAL position such as 0/3000060")
    return (int(match[1], 16) << 32) + int(match[2], 16)


def lsn_text(position: int) -> str:
    """As PostgreSQL writes it: `0/3000060`."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def timeline_number(text: str) -> int | None:
    """As PostgreSQL reads recovery_target_timeline; None for latest, current, and what is no number."""
    if re.fullmatch(r"0x[0-9A-Fa-f]{1,8}", text):
        return int(text, 16)
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text, re.ASCII) else None


def timeline_of_segment(name: Any) -> int | None:
    """A WAL segment's name begins with its timeline."""
    return int(name[:8], 16) if isinstance(name, str) and _SEGMENT.fullmatch(name) else None


def rfc3339(moment: datetime) -> str:
    """UTC with a Z and no more digits than there are."""
    utc = moment.astimezone(UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%S") + (f".{utc.microsecond:06d}" if utc.microsecond else "") + "Z"
