"""What the API server can answer that is not a result.

ApiError
├── Unauthorized  401
├── NotFound      404
├── Conflict      409 (an update of an old version, or AlreadyExists)
├── Gone          410 (a watch must list again)
└── Invalid       422 or 400 or 403: the request will not do better by being sent again
    └── Terminating   the namespace is being deleted: nothing can be made in it, and nothing need be
"""

from __future__ import annotations

from pgwarden.api import outside

#: Bytes of an error's body that are looked at. The refusal of an object with many faults is long.
MOST = 1024 * 1024


class ApiError(Exception):
    """An answer of the API server with a status of 400 or above. `message` is the server's own sentence."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class Unauthorized(ApiError):
    pass


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
    401: Unauthorized,
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
    parsed = outside.decode_object(body, most=MOST)
    if parsed is not None:
        reason, message = str(parsed.get("reason", "")), str(parsed.get("message", message))
        details = parsed.get("details")
        causes = details.get("causes") if isinstance(details, dict) else None
        for cause in causes if isinstance(causes, list) else []:
            if isinstance(cause, dict) and cause.get("reason") == "NamespaceTerminating":
                return Terminating(status, reason, message)
    return _BY_STATUS.get(status, ApiError)(status, reason, message)
