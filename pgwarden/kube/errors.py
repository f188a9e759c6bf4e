"""What the API server can answer that is not a result.

ApiError
├── NotFound      404
├── Conflict      409 (an update of an old version, or AlreadyExists)
├── Gone          410 (a watch must list again)
└── Invalid       422 or 400 or 403: the request will not do better by being sent again
    └── Terminating   the namespace is being deleted: nothing can be made in it, and nothing need be
"""

from __future__ import annotations

import json
from typing import Any


class ApiError(Exception):
    """An answer of the API server with a status of 400 or above. `message` is the server's own sentence."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class NotFound(ApiError):
    pass


class Conflict(ApiError):
    pass


class Gone(ApiError):
    pass


class Invalid(ApiError):
    pass


class Terminating(Invalid):
    pass


_BY_STATUS: dict[int, type[ApiError]] = {
    404: NotFound,
    409: Conflict,
    410: Gone,
    400: Invalid,
    403: Invalid,
    422: Invalid,
}


def from_body(status: int, body: bytes) -> ApiError:
    """The error for an answer, read from its `Status` object where it is one."""
    reason, message = "", body[:500].decode("utf-8", "replace")
    try:
        parsed: Any = json.loads(body)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict):
        reason, message = str(parsed.get("reason", "")), str(parsed.get("message", message))
        causes = (parsed.get("details") or {}).get("causes") or []
        if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
            return Terminating(status, reason, message)
    return _BY_STATUS.get(status, ApiError)(status, reason, message)
