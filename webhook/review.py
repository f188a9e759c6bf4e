"""AdmissionReview v1, bytes in and bytes out: whatever the body, there is an answer.

A body that is no review gets an HTTP error (the API server then follows failurePolicy); a review always gets a review.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
import structlog

from pgwarden.api.faults import Fault, limited, shortened, summary

API_VERSION = "admission.k8s.io/v1"
#: etcd takes objects of 1.5 MiB, and a review of an update carries two. Of a larger review only its HEAD is read: it
#: says whom the refusal is for. The API server takes 3 MiB of a user, which come as twice that at most.
MAX_BODY = 4 * 1024 * 1024
HEAD = 2048
_MOST_SENT = 12 * 1024 * 1024  # a larger one is of no API server, and gets no review
#: A body of more than this is decoded in two steps, so that nobody waits with a large object at hand.
LARGE = 256 * 1024
_ASKED = re.compile(
    rb'\s*\{[^{}]*"request"\s*:\s*\{\s*"uid"\s*:\s*"([0-9A-Za-z.-]{1,128})"\s*,\s*"kind"\s*:\s*(\{[^{}]*\})'
)
_WARNINGS_TOTAL = 4000  # characters; the API server cuts warnings off at 4096
_NOTHING = msgspec.Raw(b"null")
T = TypeVar("T")
log = structlog.get_logger()


class Kind(msgspec.Struct, frozen=True):
    group: str = ""
    version: str = ""
    kind: str = ""


class UserInfo(msgspec.Struct, frozen=True):
    """Who asks. What is not looked at here is handed on as it came."""

    username: str = ""
    uid: str = ""
    groups: msgspec.Raw = msgspec.Raw(b"[]")
    extra: msgspec.Raw = msgspec.Raw(b"{}")


class Request(msgspec.Struct, Generic[T], frozen=True, rename="camel"):
    """The part of an AdmissionRequest that is looked at. `object` is raw, or what a Typed handler asked for."""

    uid: Annotated[str, msgspec.Meta(max_length=256)]
    operation: str = ""
    kind: Kind = Kind()
    sub_resource: str = ""
    name: str = ""
    namespace: str = ""
    object: T = _NOTHING  # type: ignore[assignment]  # raw, where a Typed one is missing
    old_object: msgspec.Raw = _NOTHING
    dry_run: bool | None = None
    user_info: UserInfo = UserInfo()


class _Review(msgspec.Struct, Generic[T], frozen=True, rename="camel"):
    api_version: str
    kind: str
    request: Request[T]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler decided. `outcome` is for logs and metrics."""

    outcome: Literal["allowed", "injected", "unchanged", "skipped", "refused"]
    faults: tuple[Fault, ...] = ()
    patch: bytes = b""  # encoded JSON Patch; empty for none
    warnings: tuple[str, ...] = ()
    audit: dict[str, str] = {}
    encoded: bytes = b""  # of a prepared answer: the response but for its uid


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """HTTP status and body, and for logs and metrics what they say."""

    status: int
    body: bytes
    outcome: str
    request: Request[Any] | None = None
    answer: Answer | None = None


#: An answer, or where something must be asked first, the promise of one.
Handler = Callable[[Request[Any]], Answer | Awaitable[Answer]]
_decode = msgspec.json.Decoder(_Review[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_HEAD = b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":'


class Typed:
    """A handler that gets the object decoded in one pass with the review, as a *kind*; raw where it is none."""

    def __init__(self, handler: Handler, kind: type[msgspec.Struct]) -> None:
        self._handler = handler
        self._decode = msgspec.json.Decoder(_Review[kind]).decode  # type: ignore[valid-type]

    def __call__(self, request: Request[Any]) -> Answer | Awaitable[Answer]:
        return self._handler(request)

    def decode(self, body: bytes) -> _Review[Any]:
        if len(body) > LARGE:
            return _decode(body)
        try:
            return self._decode(body)
        except ValueError:
            return _decode(body)  # which says whether the review is at fault, or the object


def answer(body: bytes, handler: Handler) -> Reply | Awaitable[Reply]:
    """At once, unless the handler has to wait."""
    if len(body) > MAX_BODY:
        return too_large(body[:HEAD], len(body))
    try:
        review = handler.decode(body) if isinstance(handler, Typed) else _decode(body)
    except (ValueError, RecursionError) as error:  # msgspec's errors and broken UTF-8 are ValueErrors
        return malformed(f"no AdmissionReview: {error}")
    if review.api_version != API_VERSION or review.kind != "AdmissionReview":
        return malformed(f"kind must be AdmissionReview of {API_VERSION}")
    request = review.request
    try:
        found = handler(request)
        return _reply(request, found) if isinstance(found, Answer) else _later(request, found)
    except Exception as error:  # noqa: BLE001  whatever it is, it is logged, and the API server is answered
        return _failed(request, error)


async def _later(request: Request[Any], promise: Awaitable[Answer]) -> Reply:
    try:
        return _reply(request, await promise)
    except Exception as error:  # noqa: BLE001  whatever it is, it is logged, and the API server is answered
        return _failed(request, error)


def _reply(request: Request[Any], answer: Answer) -> Reply:
    body = b"%b%b,%b}}" % (_HEAD, _encode(request.uid), answer.encoded or _rest_of(answer, request))
    return Reply(status=200, body=body, outcome=answer.outcome, request=request, answer=answer)


def _failed(request: Request[Any], error: Exception) -> Reply:
    if isinstance(error, msgspec.DecodeError | UnicodeDecodeError | RecursionError):
        return malformed(f"request.object: {error}", request)
    log.error("handler failed", uid=request.uid, kind=request.kind.kind, namespace=request.namespace, exc_info=error)
    return Reply(status=500, body=b'{"error":"internal error"}', outcome="error", request=request)


def malformed(reason: str, request: Request[Any] | None = None) -> Reply:
    return Reply(status=400, body=_encode({"error": reason[:500]}), outcome="malformed", request=request)


def too_large(head: bytes, length: int) -> Reply:
    """Of a review of *length* bytes (0: not known) that begins with *head*. Where that says which, it is refused.

    With an HTTP error the API server would tell its user nothing of size, or pass over it (failurePolicy Ignore).
    """
    asked = _ASKED.match(head)
    if asked is None or length > _MOST_SENT:
        return Reply(status=413, body=_encode({"error": f"more than {MAX_BODY} bytes"}), outcome="too-large")
    try:
        request: Request[Any] = Request(uid=asked[1].decode(), kind=msgspec.json.decode(asked[2], type=Kind))
    except ValueError as error:
        return malformed(f"no AdmissionReview: {error}")
    message = "the request has more than 4 MiB (an update carries the old object too); make the object smaller"
    fault = Fault("spec", None, message, "size")
    return _reply(request, Answer(outcome="refused", faults=(fault,), audit={"refused": fault.rule}))


def prepared(answer: Answer) -> Answer:
    """The same answer, encoded beforehand: for one that will be given more than once."""
    return msgspec.structs.replace(answer, encoded=_rest_of(answer), patch=b"")


def _rest_of(answer: Answer, request: Request[Any] | None = None) -> bytes:
    """The response but for its uid, and without braces."""
    response: dict[str, Any] = {"allowed": not answer.faults}
    if answer.faults:
        response["status"] = _status(limited(answer.faults), request)
    elif answer.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = answer.patch  # bytes: msgspec writes base64, as the API asks
    warnings = _within_limit(answer.warnings)
    if warnings:
        response["warnings"] = warnings
    if answer.audit:
        response["auditAnnotations"] = answer.audit
    return _encode(response)[1:-1]


def _status(faults: list[Fault], request: Request[Any] | None) -> dict[str, Any]:
    """As the API server words what it finds invalid itself: kubectl prints kind, name and the causes line by line.

    `kubectl edit` shows the causes alone. The message is for who reads nothing else: controllers, Events, Terraform.
    """
    details: dict[str, Any] = {
        "causes": [
            {"reason": "FieldValueInvalid", "field": one.field, "message": str(one).removeprefix(f"{one.field}: ")}
            for one in faults
        ]
    }
    if request is not None:
        details |= {"group": request.kind.group, "kind": request.kind.kind, "name": shortened(request.name, 253)}
    status = {"status": "Failure", "code": 422, "reason": "Invalid"}
    return status | {"message": summary(faults), "details": details}


def _within_limit(warnings: tuple[str, ...]) -> list[str]:
    """Whole warnings only, as many as the API server passes on."""
    kept, total = list[str](), 0
    for warning in warnings:
        line = " ".join(warning.split())  # a line break would break the HTTP header
        total += len(line)
        if total > _WARNINGS_TOTAL:
            break
        kept.append(line)
    return kept
