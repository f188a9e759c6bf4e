"""AdmissionReview v1, bytes in and bytes out: whatever the body, there is an answer.

A body that is no review gets an HTTP error (the API server then follows failurePolicy); a review always gets a review.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
import structlog

from pgwarden.api.faults import Fault, summary

API_VERSION = "admission.k8s.io/v1"
#: An object is at most 3 MiB in the API server's eyes, and a review of an update carries it twice, as JSON.
MAX_BODY = 12 * 1024 * 1024
_WARNINGS_TOTAL = 4000  # characters; the API server cuts warnings off at 4096
_NOTHING = msgspec.Raw(b"null")
log = structlog.get_logger()


class Kind(msgspec.Struct, frozen=True):
    group: str = ""
    version: str = ""
    kind: str = ""


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """The part of an AdmissionRequest that is looked at; the objects stay raw until a handler wants them."""

    uid: str
    operation: str = ""
    kind: Kind = Kind()
    sub_resource: str = ""
    name: str = ""
    namespace: str = ""
    object: msgspec.Raw = _NOTHING
    old_object: msgspec.Raw = _NOTHING
    dry_run: bool | None = None


class _Review(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    kind: str
    request: Request


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler decided. `outcome` is for logs and metrics."""

    outcome: Literal["allowed", "injected", "unchanged", "skipped", "refused"]
    faults: tuple[Fault, ...] = ()
    patch: bytes = b""  # encoded JSON Patch; empty for none
    warnings: tuple[str, ...] = ()
    audit: dict[str, str] = {}


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """HTTP status and body, and for logs and metrics what they say."""

    status: int
    body: bytes
    outcome: str
    request: Request | None = None
    answer: Answer | None = None


Handler = Callable[[Request], Awaitable[Answer]]
_decode = msgspec.json.Decoder(_Review).decode
_encode = msgspec.json.Encoder().encode


async def respond(body: bytes, handler: Handler) -> Reply:
    if len(body) > MAX_BODY:
        return too_large()
    try:
        review = _decode(body)
    except (ValueError, RecursionError) as error:  # msgspec's errors and broken UTF-8 are ValueErrors
        return malformed(f"no AdmissionReview: {error}")
    if review.api_version != API_VERSION or review.kind != "AdmissionReview":
        return malformed(f"kind must be AdmissionReview of {API_VERSION}")
    request = review.request
    try:
        answer = await handler(request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return malformed(f"request.object: {error}", request)
    except Exception:
        log.exception("handler failed", uid=request.uid, kind=request.kind.kind, namespace=request.namespace)
        return Reply(status=500, body=b'{"error":"internal error"}', outcome="error", request=request)
    body = _review_of(request, answer)
    return Reply(status=200, body=body, outcome=answer.outcome, request=request, answer=answer)


def malformed(reason: str, request: Request | None = None) -> Reply:
    return Reply(status=400, body=_encode({"error": reason[:500]}), outcome="malformed", request=request)


def too_large() -> Reply:
    return Reply(status=413, body=_encode({"error": f"more than {MAX_BODY} bytes"}), outcome="too-large")


def _review_of(request: Request, answer: Answer) -> bytes:
    response: dict[str, Any] = {"uid": request.uid, "allowed": not answer.faults}
    if answer.faults:
        response["status"] = _status(request, answer.faults)
    elif answer.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = answer.patch  # bytes: msgspec writes base64, as the API asks
    warnings = _within_limit(answer.warnings)
    if warnings:
        response["warnings"] = warnings
    if answer.audit:
        response["auditAnnotations"] = answer.audit
    return _encode({"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response})


def _status(request: Request, faults: tuple[Fault, ...]) -> dict[str, Any]:
    """As the API server words what it finds invalid itself: kubectl prints kind, name and the causes line by line.

    `kubectl edit` shows the causes alone. The message is for who reads nothing else: controllers, Events, Terraform.
    """
    causes = [
        {"reason": "FieldValueInvalid", "field": fault.field, "message": str(fault).removeprefix(f"{fault.field}: ")}
        for fault in faults
    ]
    return {
        "status": "Failure",
        "code": 422,
        "reason": "Invalid",
        "message": summary(faults),
        "details": {"group": request.kind.group, "kind": request.kind.kind, "name": request.name, "causes": causes},
    }


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
