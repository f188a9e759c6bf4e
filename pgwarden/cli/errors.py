"""Errors as the user reads them: one sentence, or fault by fault; never a traceback."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pgwarden.api.faults import Fault
from pgwarden.api.near import near as nearest

OK, WRONG, UNABLE, INTERRUPTED = 0, 1, 2, 130
_WEBHOOK = re.compile(r'admission webhook "[^"]*" denied the request: (.*)', re.DOTALL)
_SCHEMA = re.compile(r'\S+ "[^"]*" is invalid: (.*)', re.DOTALL)
_NEXT_FIELD = re.compile(r", (?=(?:spec|metadata|status|kind|apiVersion|<nil>)\b)")
_COUNTED = re.compile(r"\d+ faults: ")


class CliError(Exception):
    """`faults` are printed below the message, a line each. `code` is the exit code."""

    def __init__(self, message: str, faults: Iterable[str] = (), code: int = UNABLE) -> None:
        super().__init__(message)
        self.message = message
        self.faults = list(faults)
        self.code = code


class UsageError(CliError):
    """The command line itself is wrong."""


def refused(title: str, faults: Sequence[Fault | str]) -> CliError:
    """*title* is what was refused; one fault stands on the same line."""
    lines = [str(fault) for fault in faults]
    if len(lines) == 1:
        return CliError(f"{title} refused: {lines[0]}", code=WRONG)
    return CliError(f"{title} refused, {len(lines)} faults:", lines, WRONG)


def faults_of(message: str) -> list[str]:
    """The single faults in a refusal of the API server: the webhook's, the schema's, or the sentence as it is."""
    found = _WEBHOOK.search(message)
    if found is not None:
        return _numbered(found[1].strip())
    found = _SCHEMA.fullmatch(message.strip())
    if found is None:
        return [message.strip()]
    said = found[1].strip()
    inner = said[1:-1] if said.startswith("[") and said.endswith("]") else said
    return _NEXT_FIELD.split(inner)


def _numbered(text: str) -> list[str]:
    """`2 faults: [1] a; [2] b` → a, b. A fault may itself hold a bracket: the numbers are followed in order."""
    counted = _COUNTED.match(text)
    if counted is None:
        return [text]
    faults, rest, number = [], text[counted.end() :].removeprefix("[1] "), 2
    while f"; [{number}] " in rest:
        head, rest = rest.split(f"; [{number}] ", 1)
        faults.append(head)
        number += 1
    return [*faults, rest]


def near(word: str, known: Iterable[str]) -> str:
    """`; did you mean a or b?`, or nothing."""
    close = nearest(word, sorted(set(known)), most=2)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def unknown(kind: str, name: str, where: str, known: Sequence[str]) -> CliError:
    """There is no *kind* of that name; what there is instead."""
    text = f"there is no {kind} {name} in namespace {where}"
    hint = near(name, known)
    if hint:
        return CliError(text + hint, code=WRONG)
    if known:
        return CliError(f"{text}; it has {', '.join(sorted(known)[:10])}", code=WRONG)
    return CliError(f"{text}; it has none", code=WRONG)
