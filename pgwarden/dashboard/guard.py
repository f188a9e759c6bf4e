"""Which requests are answered. Pure.

The page stands on loopback, where every program and every web page of this machine's user can reach it. So:
Host    must be this machine's own name: a stranger's name that is made to point here (DNS rebinding) has another
Origin  where there is one, must be the page's own: no other page may ask
method  GET or HEAD: nothing here changes anything
token   the first part of the path, 256 bits: other users of this machine and other pages do not know it
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

#: With any port: an SSH tunnel may have another.
_HOST = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?", re.ASCII)
METHODS = frozenset({"GET", "HEAD"})
#: Of every answer. No script, style or picture but the page's own files, nothing sent anywhere, nobody's frame.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Refusal:
    status: int
    message: str


def new_token() -> str:
    return secrets.token_urlsafe(32)


def refusal(method: str, token: str, headers: Mapping[str, str], wanted: str) -> Refusal | None:
    """Why a request is not answered; None where it is. *token* is the one in its path, *wanted* the page's."""
    host = headers.get("Host", "")
    if _HOST.fullmatch(host) is None:
        return Refusal(403, "this page is at 127.0.0.1 or localhost, and under no other name")
    if method not in METHODS:
        return Refusal(405, "this page is read-only: GET or HEAD")
    origin = headers.get("Origin")
    if origin is not None and origin != f"http://{host}":
        return Refusal(403, "another page may not ask this one")
    if _is_embedded(headers):
        return Refusal(403, "another page may not embed this one")
    if not hmac.compare_digest(token.encode("utf-8", "replace"), wanted.encode()):
        return Refusal(404, "there is no such page: the address is the one that `kubectl pgwarden dashboard` prints")
    return None


def _is_embedded(headers: Mapping[str, str]) -> bool:
    """Asked for by another page, other than by a link that somebody followed."""
    foreign = headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}
    return foreign and (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")) != ("navigate", "document")
