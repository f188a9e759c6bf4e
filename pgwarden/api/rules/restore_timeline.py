"""The timeline that a Restore follows: one that the archive has, and that leads on from a backup."""

from __future__ import annotations

import re
from typing import Any

from pgwarden.api.rules.common import Case, Object, get

_WAL = re.compile(r"[0-9A-F]{24}")  # a segment's name begins with its timeline


def check(case: Case, sets: list[Object], repository: Object | None) -> None:
    """*sets* are the backups that the Restore may begin from."""
    text = case.get(str, "targetTimeline")
    wanted = _number(text) if text else None
    if text is None or wanted is None:
        return
    if wanted == 0:
        case.refuse("spec.targetTimeline", text, "is no timeline: they are counted from 1", "timeline")
        return
    name = get(repository, str, "metadata", "name")
    begun = [timeline for entry in sets if (timeline := _of_segment(entry.get("walStop")))]
    newest = max([*begun, _of_segment(get(repository, str, "status", "archive", "max")) or 0])
    if newest and wanted > newest:
        message = f"Repository {name} has no WAL of this timeline; the newest is {newest}, and latest always means that"
        case.refuse("spec.targetTimeline", text, message, "timeline")
    elif begun and wanted < min(begun):
        which = f"backup {case.get(str, 'set')} is" if _is_set(case) else "all backups that could be restored are"
        message = f"{which} on a later timeline ({min(begun)} or higher), and no recovery leads back"
        case.refuse("spec.targetTimeline", text, message, "timeline")


def _is_set(case: Case) -> bool:
    return case.get(str, "set") not in {None, "", "latest"}


def _number(text: str) -> int | None:
    """As PostgreSQL reads it; None for latest and current, and for what the schema refuses."""
    if re.fullmatch(r"0x[0-9A-Fa-f]{1,8}", text):
        return int(text, 16)
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else None


def _of_segment(name: Any) -> int | None:
    return int(name[:8], 16) if isinstance(name, str) and _WAL.fullmatch(name) else None
