"""postgresql.auto.conf as pgBackRest leaves it: the recovery settings in it, and the file without them. Pure."""

from __future__ import annotations

import re

_LINE = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(?:=\s*|\s+)(.*)")
_ESCAPE = re.compile(r"\\([0-7]{1,3}|.)")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
#: Of a Restore in place only the target goes: what else pgBackRest wrote is the workload's own.
TARGETS = re.compile(r"\s*recovery_target", re.IGNORECASE)
#: Of a copy all that connects, archives or follows as its source did: its own cluster sets that.
SOURCES = re.compile(
    r"\s*(archive_|restore_command|recovery_|primary_|synchronous_standby_names|cluster_name|listen_addresses|port)",
    re.IGNORECASE,
)


def values(text: str) -> dict[str, str]:
    """Each setting's last value, unquoted, by its name in lower case."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            found[match[1].lower()] = value(match[2])
    return found


def recovery_target(text: str) -> dict[str, str]:
    """The settings recovery_target… in it; empty values are none."""
    return {name: value for name, value in values(text).items() if name.startswith("recovery_target") and value}


def without(text: str, unwanted: re.Pattern[str]) -> str:
    """*text* without the lines that set what *unwanted* matches."""
    return "".join(line for line in text.splitlines(keepends=True) if not unwanted.match(line))


def at_least(text: str, name: str, number: int) -> str:
    """*text* in which the setting *name* is no less than *number*."""
    found = values(text).get(name, "")
    if number <= (int(found) if found.isascii() and found.isdigit() else 0):
        return text
    return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{name} = '{number}'\n"


def value(raw: str) -> str:
    """What is behind a setting's name, unquoted."""
    raw = raw.strip()
    if not raw.startswith("'"):
        return re.split(r"[\s#]", raw, maxsplit=1)[0]
    found, at = "", 1
    while at < len(raw):
        if raw[at] == "'":
            if raw[at : at + 2] != "''":
                break
            found, at = found + "'", at + 2
        elif escape := _ESCAPE.match(raw, at):
            code = escape[1]
            found += chr(int(code, 8) & 0xFF) if code[0] in "01234567" else _ESCAPES.get(code, code)
            at = escape.end()
        else:
            found, at = found + raw[at], at + 1
    return found
