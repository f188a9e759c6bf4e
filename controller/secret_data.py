"""A Secret's data: the object that holds it, and what it holds. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from pgwarden.api.objects import Object


def made(metadata: Object, data: Mapping[str, bytes]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": "Opaque",
        "data": {key: base64.b64encode(value).decode() for key, value in sorted(data.items())},
    }


def decode(secret: Object) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
