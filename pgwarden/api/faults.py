"""A fault in what a user asked for: the field, its value, what is wrong and the way out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import msgspec

#: Faults that one answer tells. Whoever has more mends these first.
MOST = 50
#: Bytes of all of them as JSON. A condition's message has 32768 characters, and an answer says each fault twice.
MOST_BYTES = 24 * 1024
_FIELD, _VALUE, _MESSAGE = 300, 300, 2500  # characters that are shown
_ENTRIES = 10  # of a list that is shown
_REST = "more"  # the rule of the fault that stands for those that are not told


class Waits(StrEnum):
    """What an object waits for whose fault is not its own: the reason in its status."""

    NO_REPOSITORY = "NoRepository"
    REPOSITORY_GOING = "RepositoryGoing"
    STORAGE_MISSING = "StorageMissing"
    NO_SUCH_SET = "NoSuchSet"
    OUTSIDE_WINDOW = "OutsideWindow"
    NO_SUCH_TIMELINE = "NoSuchTimeline"
    DEFAULT_MISSING = "DefaultMissing"
    PLACE_TAKEN = "PlaceTaken"
    NAME_TAKEN = "NameTaken"
    SOURCE_MISSING = "SourceMissing"
    SOURCE_UNSUITABLE = "SourceUnsuitable"
    NOT_ALLOWED = "NotAllowed"
    OPTIONS_CONTRADICT = "OptionsContradict"
    NOTHING_TO_UNDO = "NothingToUndo"
    RETENTION_UNDONE = "RetentionUndone"
    RETENTION_SHORTER = "RetentionShorter"
    CHECKS_REQUIRED = "ChecksRequired"
    REPOSITORY_READ_ONLY = "RepositoryReadOnly"


class Elsewhere(msgspec.Struct, frozen=True):
    """What a refusal would tell of Repositories in other namespaces, to those who may look at them.

    `message` is in two parts, with the namespaces of those that may be told between them.
    """

    repositories: tuple[tuple[str, str], ...]  # namespace and name
    message: tuple[str, str]


class Fault(msgspec.Struct, frozen=True, order=False):
    """One refusal. `field` is a path as Kubernetes writes it (`spec.s3.bucket`, `spec.options[1]`).

    `waits` is empty where the object itself is at fault: only its author can mend that. Where the fault was found by
    looking at something else (another object, its status, the clock, the operator's defaults) the world may mend it,
    and `waits` says what has to come. At admission both are refused; what is in the API server already waits.

    `message` tells nothing of other namespaces, for it may be read by anybody. `elsewhere` is what it leaves out.
    """

    field: str
    value: Any
    message: str
    rule: str = ""
    waits: Waits | None = None
    elsewhere: Elsewhere | None = None

    def told(self, may_look: Callable[[str, str], bool]) -> Fault:
        """With what it leaves out of the Repositories (namespace, name) that its reader may look at."""
        if self.elsewhere is None:
            return self
        before, after = self.elsewhere.message
        seen = [namespace for namespace, name in self.elsewhere.repositories if may_look(namespace, name)]
        message = f"{before}{', '.join(seen)}{after}" if seen else self.message
        return msgspec.structs.replace(self, message=message, elsewhere=None)

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.field}: {self.message}"
        return f"{self.field}: {json.dumps(self.value, ensure_ascii=False, default=str)}: {self.message}"


def summary(faults: list[Fault] | tuple[Fault, ...]) -> str:
    """All *faults* as the one message that `kubectl apply` prints."""
    if len(faults) == 1:
        return str(faults[0])
    return f"{len(faults)} faults: " + "; ".join(f"[{n}] {fault}" for n, fault in enumerate(faults, 1))


def limited(faults: Sequence[Fault], unlisted: int = 0) -> list[Fault]:
    """*faults* as they may be told: each of them short, the first 50 at most, then one that counts the others.

    *unlisted* is how many there are besides *faults*.
    """
    if faults and faults[-1].rule == _REST:
        return list(faults)
    told: list[Fault] = []
    size = 0
    for fault in faults[:MOST]:
        short = _short(fault)
        size += len(json.dumps(str(short)))
        if told and size > MOST_BYTES:
            break
        told.append(short)
    left = len(faults) - len(told) + unlisted
    if left:
        field = told[-1].field.partition(".")[0].partition("[")[0] if told else "spec"
        told.append(Fault(field, None, f"and {left} more; fix those above first", _REST))
    return told


def brief(text: str, most: int = 120) -> str:
    """*text* as a refusal shows it: users may send megabytes."""
    return text if len(text) <= most else f"{text[: most - 3]}…"


def shortened(text: str, most: int) -> str:
    """*text* with its middle left out where it has more than *most* characters: both ends help to find it again."""
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[:half]}…{text[len(text) - half :]}"


def _short(fault: Fault) -> Fault:
    if (
        len(fault.field) <= _FIELD
        and len(fault.message) <= _MESSAGE
        and (fault.value is None or (isinstance(fault.value, str) and len(fault.value) <= _VALUE))
    ):
        return fault
    return msgspec.structs.replace(
        fault,
        field=shortened(fault.field, _FIELD),
        value=_shown(fault.value),
        message=shortened(fault.message, _MESSAGE),
    )


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return shortened(value, _VALUE)
    if isinstance(value, list | tuple):
        some = [_shown(entry) for entry in value[:_ENTRIES]]
        return some if len(value) <= _ENTRIES else [*some, f"and {len(value) - _ENTRIES} more"]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**30 else "(a number)"
    return f"({type(value).__name__})"
