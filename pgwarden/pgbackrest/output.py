"""What pgBackRest prints: which of its lines say what went wrong. Pure."""

from __future__ import annotations

import re

_ERROR = re.compile(r"(?:ERROR|ASSERT): \[(\d{3})\]: .*")
_SUMMARY = "error(s), check the log file for details"
_HEAD = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} P\d+ |(?:P\d+ +)?(?:ERROR|WARN|INFO|ASSERT|DETAIL|DEBUG|TRACE): "
)


def error_line(output: str) -> str:
    """pgBackRest's last `ERROR: [NNN]: …` with the lines that belong to it (its HINTs) as one line; else empty.

    Not the one that only counts those before it, as `expire` ends with.
    """
    found = ""
    lines = iter(output.splitlines())
    for line in lines:
        match = _ERROR.search(line)
        while match:
            parts, match = [match[0].strip()], None
            for following in lines:
                if _HEAD.match(following):
                    match = _ERROR.search(following)
                    break
                if following.strip():
                    parts.append(following.strip())
            if not (found and _SUMMARY in parts[0]):
                found = " ".join(parts)
    return found
