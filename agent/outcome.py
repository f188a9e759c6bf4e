"""What a Job says at its end: read out of pgBackRest's log, put into the 4096 bytes that the kubelet takes. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from pgwarden.contract.job_result import JobResult
from pgwarden.pgbackrest import standby

MESSAGE_BYTES = 4096
_LABEL = r"\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?"
_NEW = re.compile(rf"new backup label = ({_LABEL})\s*$")
#: `expire full backup X`, `expire diff backup set X, Y`, `expire time-based backup X`, `remove expired backup X`; not
#: `remove expired backup history manifest …`.
_EXPIRED = re.compile(rf"(?:expire [a-z-]+ backup|remove expired backup) (?:set )?({_LABEL}(?:, {_LABEL})*)\s*$")
_SET = re.compile(rf"restore backup set ({_LABEL})")


@dataclass
class Seen:
    """Fed with each line as it comes, so that no log needs to be kept."""

    label: str = ""
    set: str = ""
    expired: list[str] = field(default_factory=list)
    note: str = ""

    def line(self, line: str) -> None:
        if found := _NEW.search(line):
            self.label = found[1]
        elif found := _SET.search(line):
            self.set = found[1]
        elif standby.tells_of_none(line):
            self.note = standby.FROM_PRIMARY
        elif found := _EXPIRED.search(line):
            self.expired += [label for label in found[1].split(", ") if label not in self.expired]


def message(result: JobResult) -> bytes:
    """*result* as JSON of at most 4096 bytes. Room goes to `error` first: `log` makes way from its oldest line on,
    and `expired`, which says how much.
    """
    # What pgBackRest prints need not be text.
    lines = tuple(map(_text, result.log))
    result = replace(result, error=_text(result.error), expiry_error=_text(result.expiry_error)[:1000], log=lines)
    while result.log and len(msgspec.json.encode(result)) > MESSAGE_BYTES:
        result = replace(result, log=result.log[1:])
    expired, error = result.expired, result.error
    while len(encoded := msgspec.json.encode(result)) > MESSAGE_BYTES and result.expired:
        over = len(encoded) - MESSAGE_BYTES
        kept = result.expired[: max(0, len(result.expired) - 1 - over // 64)]
        result = replace(result, expired=kept, expired_not_shown=len(expired) - len(kept))
    while len(encoded) > MESSAGE_BYTES and error:
        # A character is up to six bytes of JSON: cut little by little.
        error = error[: max(0, len(error) - max(1, (len(encoded) - MESSAGE_BYTES) // 6))]
        result = replace(result, error=error + "…")
        encoded = msgspec.json.encode(result)
    return encoded


def _text(printed: str) -> str:
    return printed.encode("utf-8", "replace").decode()
