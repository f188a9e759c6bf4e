"""argparse's errors as this program words them: option, value, what is wrong, what to write instead. Pure."""

from __future__ import annotations

import re

#: As argparse of Python 3.11 to 3.14 writes them. A message that matches none is shown as it is.
_ARGUMENT = re.compile(r"argument (\S+): (.*)", re.DOTALL)
_CHOICE = re.compile(r"invalid choice: '(.*)' \(choose from (.*)\)", re.DOTALL)
_NUMBER = re.compile(r"invalid int value: '(.*)'", re.DOTALL)
_EXCLUDED = re.compile(r"not allowed with argument (\S+)")
_REQUIRED = re.compile(r"the following arguments are required: (.*)")


def plain(message: str) -> str:
    required = _REQUIRED.fullmatch(message)
    if required is not None:
        return f"{required[1]} is missing" if ", " not in required[1] else f"{required[1]} are missing"
    found = _ARGUMENT.fullmatch(message)
    return message if found is None else _of_argument(_long(found[1]), found[2])


def _long(flags: str) -> str:
    """`-w/--wait` → `--wait`."""
    return next((flag for flag in flags.split("/") if flag.startswith("--")), flags)


def _of_argument(name: str, said: str) -> str:
    if choice := _CHOICE.fullmatch(said):
        allowed = choice[2].replace("'", "")
        # `local,s3` is one value, so the values are separated by `or`.
        return f'{name}: "{choice[1]}": must be {" or ".join(allowed.split(", "))}'
    if number := _NUMBER.fullmatch(said):
        return f'{name}: "{number[1]}": must be a whole number'
    if excluded := _EXCLUDED.fullmatch(said):
        return f"{name} and {_long(excluded[1])} cannot be combined; give one of them"
    if said.startswith("ignored explicit argument"):
        return f"{name} takes no value"
    if said == "expected one argument":
        return f"{name} needs a value"
    return f"{name}: {said}"
