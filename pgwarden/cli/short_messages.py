"""Messages of the status on one line: pgBackRest's errors run over many, and some repeat themselves. Pure."""

from __future__ import annotations

import re
from typing import Any

from pgwarden.api.objects import Object
from pgwarden.api.registry import BY_NAME

LONGEST = 240  # characters
_HINTS = re.compile(r"\s*\bHINT: .*?(?=; storage \w+: |$)")
_STORAGES = re.compile(r"; (?=storage (\w+): )")
_NAMED = re.compile(r"storage (\w+): ")


def brief(text: Any, longest: int = LONGEST) -> str:
    """*text* without pgBackRest's hints, with each storage once, and with no more characters than *longest*."""
    one_line = _HINTS.sub("", " ".join(str(text or "").split()))
    said = "; ".join(_once(one_line))
    return said if len(said) <= longest else f"{said[: longest - 1].rstrip()}…"


def _once(text: str) -> list[str]:
    """The parts of *text*, of those about the same storage the first."""
    parts = _STORAGES.split(text)
    kept, seen = [parts[0]], set(_NAMED.findall(parts[0]))
    for name, part in zip(parts[1::2], parts[2::2], strict=True):
        if name not in seen:
            kept.append(part)
        seen.add(name)
    return kept


def described(obj: Object, text: Any) -> str:
    """`brief`, with the command that shows the whole where something was left out."""
    short = brief(text)
    if short == " ".join(str(text or "").split()):
        return short
    metadata = obj.get("metadata") or {}
    where = f" -n {metadata['namespace']}" if metadata.get("namespace") else ""
    kind = str(obj.get("kind"))
    resource = BY_NAME[kind].short_name if kind in BY_NAME else kind.lower()
    return f"{short} (all of it: kubectl describe {resource} {metadata.get('name')}{where})"
