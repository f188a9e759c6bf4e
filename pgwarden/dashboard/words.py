"""Times for people and for programs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pgwarden.api.target import rfc3339
from pgwarden.api.wording import clock, span


@dataclass(frozen=True)
class When:
    """A moment, as `<time>` shows it."""

    text: str
    iso: str
    ago: str


def when(moment: datetime | None, now: datetime) -> When | None:
    if moment is None:
        return None
    length = abs(now - moment)
    ago = f"{span(length)} ago" if moment <= now else f"in {span(length)}"
    return When(clock(moment), rfc3339(moment), ago)


def lasted(seconds: int | None) -> str:
    return "" if seconds is None else span(timedelta(seconds=seconds))
