"""The mark that a Backup or Restore leaves on itself: what it did survives tools that drop the status. Pure.

Who brings such an object back (Velero, Argo CD, `kubectl apply` of a dump) brings the mark along, and its uid is a new
one: it is a record of what was done, not an order. The mark lies where users write, so it is believed for one thing
alone: that something need not be done. It starts nothing, and expires nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import Annotated, Any, Literal

import msgspec

from pgwarden.api import names, outside
from pgwarden.api.kinds import BackupSpec, Model, RestoreSpec
from pgwarden.api.objects import Object
from pgwarden.api.target import parse_time

#: status.reason of what came back: its end is known, or it had begun and its end is not known.
RECORD, UNFINISHED = "Record", "RecordUnfinished"
REASONS = frozenset({RECORD, UNFINISHED})
MOST_TEXT = 512  # characters of a mark's message
_SPECS = {"Backup": BackupSpec, "Restore": RestoreSpec}

Short = Annotated[str, msgspec.Meta(max_length=253)]
Text = Annotated[str, msgspec.Meta(max_length=2 * MOST_TEXT)]
Time = Annotated[str, msgspec.Meta(pattern=r"^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z)?\Z")]
Number = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


def check_times(read: msgspec.Struct) -> None:
    """ValueError where a field of *read* whose name ends in `time` holds none of the calendar: no status takes it."""
    for field in read.__struct_fields__:
        value = getattr(read, field) if field.endswith("time") else None
        if value:
            parse_time(value)


class Mark(Model, frozen=True, kw_only=True):
    """Value of ANNOTATION_DONE. What is not known is empty or None; `status` fields as the CRD has them."""

    uid: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]  # of the object that did it
    # A copy under another name is an order of its own. One that came past the webhook may have a longer name than ours.
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
    order: Short = ""  # order_of() it
    phase: Literal["Running", "Completed", "Failed"]  # Running: begun
    began: bool = True  # False: it failed before anything was done
    reason: Short = ""
    message: Text = ""
    start_time: Time = ""
    completion_time: Time = ""
    # of a Backup
    type: Literal["", "full", "diff", "incr"] = ""
    label: Short = ""
    storage: Short = ""
    repo: Number | None = None
    # of a Restore
    set: Short = ""
    timeline: Number | None = None
    recovered_to: Short = ""
    claim: Short = ""
    new_claim: Short = ""
    kept_claim: Short = ""
    backup: Short = ""
    timeline_before: Number | None = None
    lsn_before: Short = ""
    stopped_time: Time = ""

    def __post_init__(self) -> None:
        check_times(self)

    def dump(self) -> str:
        return msgspec.json.encode(self).decode()


#: Fields of a Mark that are the status's own.
STATUS = (
    *("startTime", "completionTime", "type", "label", "storage", "repo"),
    *("set", "timeline", "recoveredTo", "claim", "newClaim", "keptClaim", "backup"),
    *("timelineBefore", "lsnBefore", "stoppedTime"),
)
#: Fields of a spec that are no part of what is asked for: they may be changed, or say what is done at deletion, when it
#: may begin, and in what kind of pod it is done.
_ASIDE = (
    *("deletionPolicy", "recoveryTimeoutSeconds"),
    *("notDuring", "resources", "podLabels", "podAnnotations"),
)


def _text(obj: Any, *path: str) -> str:
    """The text at *path*; empty where there is none. *obj* may be any JSON."""
    for part in path:
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj if isinstance(obj, str) else ""


def text_of(obj: Any) -> str:
    """The mark as it is written on *obj*, empty where there is none."""
    return _text(obj, "metadata", "annotations", names.ANNOTATION_DONE)


def mark_of(obj: Any) -> Mark | None:
    """None where there is none, or none that can be read."""
    return outside.decode(text_of(obj), Mark, most=16 * 1024)


def order_of(obj: Any) -> str:
    """What is asked for: a hash of the spec and, after a dot, one of the word to do it again where there is one.

    Defaults, what is done at deletion, and what may be changed meanwhile change nothing of it.
    """
    return _order(obj, _ASIDE)


def was_done(obj: Any, done: str) -> bool:
    """Whether *obj* asks for what was done by the order *done*. In version 0.1 a timeout was part of an order."""
    return repeats(order_of(obj), done) or repeats(_order(obj, _ASIDE[:1]), done)


def _order(obj: Any, aside: tuple[str, ...]) -> str:
    spec: Any = obj.get("spec")
    try:
        spec = _without_defaults(msgspec.convert(spec, _SPECS[obj["kind"]]))
        for field in aside:
            spec.pop(field, None)
    except outside.UNREADABLE:
        pass  # it kept no rule, and is over by that: as it is written
    told = msgspec.json.encode([obj["kind"], spec], order="deterministic")
    return _digest(told, 32) + _word(obj)


def _without_defaults(value: Any) -> Any:
    """*value* as JSON, without what is as if nothing were said: msgspec itself compares by identity."""
    if not isinstance(value, msgspec.Struct):
        return value
    found = {}
    for field in msgspec.structs.fields(value):
        factory = field.default_factory
        default = factory() if factory is not msgspec.NODEFAULT else field.default
        said = getattr(value, field.name)
        if said != default:
            found[field.encode_name] = _without_defaults(said)
    return found


def _word(obj: Any) -> str:
    text = _text(obj, "metadata", "annotations", names.ANNOTATION_RUN_AGAIN)
    return "." + _digest(text.encode("utf-8", "replace"), 16) if text else ""


def _digest(text: bytes, digits: int) -> str:
    return hashlib.sha256(text).hexdigest()[:digits]


def repeats(order: str, done: str) -> bool:
    """Whether *order* asks for what *done* was: the same spec, and no word or the same."""
    spec, _, word = order.partition(".")
    was, _, old = done.partition(".")
    return spec == was and word in {"", old}


def is_record(obj: Any) -> bool:
    """Whether *obj* is over and did none of what its status tells."""
    return _text(obj, "status", "reason") in REASONS


def brought_back(obj: Any) -> Mark | None:
    """The mark by which *obj*, not being the one that wrote it, is a record; None where it is an order.

    The spec is not compared: a tool may have changed it on the way (storage classes, defaults), and that is no word.
    """
    mark = mark_of(obj)
    if mark is None or mark.name != _text(obj, "metadata", "name"):
        return None
    word = _word(obj)
    return mark if not word or mark.order.endswith(word) else None


def warning(kind: str) -> str:
    """What `kubectl apply` prints of one that comes back."""
    return f"this is the record of an earlier {kind} of this name, which is not run again. {way(kind)}"


def way(kind: str) -> str:
    """How to run it again."""
    return (
        f"To run it again, create a {kind} with another name, or delete this one and create it again with a new value "
        f"in the annotation {names.ANNOTATION_RUN_AGAIN}, such as today's date"
    )


def begun(obj: Object) -> Mark:
    """The mark of *obj*, which is about to do what it was made for."""
    metadata = obj["metadata"]
    return Mark(uid=metadata["uid"], name=metadata["name"], order=order_of(obj), phase="Running")


def _refusal(status: Object) -> str:
    found = (one for one in status.get("conditions", []) if (one["type"], one["status"]) == ("Rejected", "True"))
    return next((str(one.get("message", "")) for one in found), "")


def ended(obj: Object) -> Mark:
    """The mark of *obj*, which is over, by its status. A field that is not what a mark may hold is left out."""
    status = obj["status"]
    known: Object = msgspec.to_builtins(begun(obj)) | {
        "phase": status["phase"],
        "began": bool(status.get("startTime")),
        "reason": str(status.get("reason") or "")[:253],
        "message": str(status.get("message") or _refusal(status))[:MOST_TEXT],
    }
    for key in STATUS:
        with contextlib.suppress(msgspec.ValidationError):
            value = status.get(key)
            known = msgspec.to_builtins(msgspec.convert(known | ({} if value is None else {key: value}), Mark))
    return msgspec.convert(known, Mark)
