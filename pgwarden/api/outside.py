"""The one way to read JSON that somebody else wrote: annotations, termination messages, agents' answers and the like.

Bytes are bounded before anything looks at them, and what cannot be read is None, whatever the reason. So one bad object
stops nobody.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar, overload

import msgspec

T = TypeVar("T")
#: What turns the direction of text about: then a line reads as another one than it is.
_TURNS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
#: Control characters but line breaks and tabs: what would steer the terminal of who reads it.
_CONTROL = {code: None for code in (*range(32), *range(0x7F, 0xA0), *_TURNS) if chr(code) not in "\n\t"}
#: Bytes of one annotation or termination message. Kubernetes lets all annotations of an object have 256 KiB together.
MOST = 64 * 1024
#: What decoders raise for text that is malformed, of another shape, nested too deeply, or not UTF-8. msgspec's errors
#: and UnicodeDecodeError are ValueErrors; nesting ends in a RecursionError, which is none.
UNREADABLE = (ValueError, RecursionError)


@overload
def decode(text: object, *, most: int = MOST) -> Any | None: ...
@overload
def decode(text: object, kind: type[T], *, most: int = MOST) -> T | None: ...
def decode(text: object, kind: Any = Any, *, most: int = MOST) -> Any | None:
    """*text* (str or bytes) as *kind*; None where it is no text, longer than *most* bytes, or not readable as that."""
    if not isinstance(text, str | bytes) or len(text) > most:
        return None
    try:
        raw = text.encode() if isinstance(text, str) else text
        return msgspec.json.decode(raw, type=kind) if len(raw) <= most else None
    except UNREADABLE:
        return None


def decode_object(text: object, *, most: int = MOST) -> dict[str, Any] | None:
    """*text* as a JSON object; None where it is not readable or something else."""
    return decode(text, dict[str, Any], most=most)


def decode_loose(text: str, *, most: int) -> Any | None:
    """As `decode`, but control characters may stand in strings: pgBackRest quotes what it cannot read as it is."""
    try:
        return json.loads(text, strict=False) if len(text) <= most else None
    except UNREADABLE:
        return None


def values(text: bytes) -> int:
    """How many values there are in JSON, nearly: never fewer than a third of them. In memory each may be 100 bytes."""
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def printable(text: str) -> str:
    """*text* without control characters, for a status, an Event or a log: who has it in a terminal is not steered."""
    return text.translate(_CONTROL)
