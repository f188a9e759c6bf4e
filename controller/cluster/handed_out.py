"""What the credentials Secret tells clients of TLS: a CA to verify the server by, an `uri` that asks for it. Pure."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qsl, urlsplit

from pgwarden.api import names
from pgwarden.api.objects import Object

_MODE = "sslmode"


def missing(secret: Object, ca: bytes) -> dict[str, str]:
    """What is to be written into the data of *secret*. An `uri` that says what it asks for is left as it is."""
    data = secret.get("data") or {}
    wanted = {names.KEY_CA_CERT: base64.b64encode(ca).decode()}
    uri = _asking(str(data.get("uri") or ""))
    if uri:
        wanted["uri"] = uri
    return {key: value for key, value in wanted.items() if data.get(key) != value}


def _asking(encoded: str) -> str:
    """The same `uri` with sslmode=require; empty where it is none that can be read, or has a mode."""
    try:
        found = urlsplit(base64.b64decode(encoded, validate=True).decode())
    except (binascii.Error, ValueError):
        return ""
    if found.scheme not in {"postgresql", "postgres"} or _MODE in dict(parse_qsl(found.query)):
        return ""
    query = "&".join(filter(None, (found.query, f"{_MODE}=require")))
    return base64.b64encode(found._replace(query=query).geturl().encode()).decode()
