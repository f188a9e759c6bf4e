"""JSON pointers (RFC 6901), as JSON patches name places by them."""

from __future__ import annotations


def pointer(where: str, key: str) -> str:
    """The pointer of member *key* of what is at *where*."""
    return f"{where}/{key.replace('~', '~0').replace('/', '~1')}"
