"""AWS signature version 4 of a request without a body. Pure: what pgBackRest does not ask of a bucket, we ask."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from urllib.parse import quote

import msgspec

_ALGORITHM = "AWS4-HMAC-SHA256"
_EMPTY = hashlib.sha256(b"").hexdigest()


class Keys(msgspec.Struct, frozen=True):
    access: str
    secret: str
    token: str = ""

    def __repr__(self) -> str:
        return "Keys(…)"


def headers(host: str, path: str, query: dict[str, str], region: str, keys: Keys, now: datetime) -> dict[str, str]:
    """Of a GET. *path* and *query* are as they are meant, and not yet escaped; *now* is in UTC."""
    moment, token = f"{now:%Y%m%dT%H%M%SZ}", {"x-amz-security-token": keys.token} if keys.token else {}
    signed = {"host": host, "x-amz-content-sha256": _EMPTY, "x-amz-date": moment} | token
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    request = f"GET\n{quote(path)}\n{query_string(query)}\n{lines}\n{names}\n{_EMPTY}"
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    text = f"{_ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{keys.secret}".encode()
    for part in (moment[:8], region, "s3", "aws4_request", text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    proof = f"Credential={keys.access}/{scope},SignedHeaders={names},Signature={key.hex()}"
    return signed | {"authorization": f"{_ALGORITHM} {proof}"}


def query_string(query: dict[str, str]) -> str:
    """As it is signed, and sent."""
    return "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))
